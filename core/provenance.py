"""Where a file says that it comes from: signed manifests (C2PA), source types (IPTC), marks of generators.

It is what the file claims, or what a tool left in it. It says nothing about the faces, never moves a score,
and its absence says nothing: almost every platform removes all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

LONGEST_TEXT = 200  # characters of any text that comes from a file
MOST_ENTRIES = 20  # of any list that comes from a file

# Of IPTC's digital source types (cv.iptc.org/newscodes/digitalsourcetype), those that a generative model has
# a part in. C2PA uses the same words.
AI_SOURCE_TYPES = frozenset(
    {"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic"}
)


class ManifestState(StrEnum):
    """What validation says of a C2PA manifest."""

    TRUSTED = "trusted"  # intact, and the signer is on the trust list
    VALID = "valid"  # intact since it was signed; whoever signed is on no list of ours
    INVALID = "invalid"  # file or manifest were changed afterwards, or the signature is no good
    UNREADABLE = "unreadable"  # it cannot be read, or costs too much
    ELSEWHERE = "elsewhere"  # the file names an address; it is not fetched


class Stated(StrEnum):
    """What a file states about itself in one word: the first that applies. Stored; queues filter by it."""

    GENERATED = "generated"  # that a generative model made it, or a part of it
    BROKEN = "broken"  # it has a manifest that does not hold
    SIGNED = "signed"  # it has a manifest that holds
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A C2PA manifest: the newest of the file."""

    state: ManifestState
    signer: str | None = None  # the organisation in the signing certificate
    claim_generator: str | None = None  # the software that wrote it
    signed_at: str | None = None  # as the time stamp says; ISO 8601
    actions: Sequence[str] = ()  # of it and what it was made from, such as "c2pa.created"
    source_types: Sequence[str] = ()  # IPTC digital source types of these actions
    problems: Sequence[str] = ()  # C2PA's codes of what does not hold, or why it is unreadable


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What one file says."""

    manifest: Manifest | None = None
    source_types: Sequence[str] = ()  # IPTC digital source types in its XMP packet
    generators: Sequence[str] = ()  # tools whose marks it carries

    @property
    def stated(self) -> Stated:
        signed = self.manifest
        types = {*self.source_types, *(signed.source_types if signed else ())}
        if self.generators or types & AI_SOURCE_TYPES:
            return Stated.GENERATED
        if signed is None or signed.state is ManifestState.ELSEWHERE:
            return Stated.NOTHING
        broken = signed.state in {ManifestState.INVALID, ManifestState.UNREADABLE}
        return Stated.BROKEN if broken else Stated.SIGNED

    def stored(self) -> dict[str, Any]:
        """As JSON; empty where the file says nothing."""
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Provenance":
        manifest = stored.get("manifest")
        if manifest is not None:
            manifest = Manifest(**manifest | {"state": ManifestState(manifest["state"])})
        return cls(**dict(stored) | {"manifest": manifest})


def told(provenance: Provenance | None) -> dict[str, Any] | None:
    """As JSON for programs: every field, and all of it in one word."""
    return None if provenance is None else {"stated": provenance.stated, **asdict(provenance)}
