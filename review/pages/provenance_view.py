"""What a file states about where it comes from, in sentences."""

from collections.abc import Iterator

from core.provenance import AI_SOURCE_TYPES, Manifest, ManifestState, Provenance

STATES = {
    ManifestState.TRUSTED: "It carries a C2PA manifest that is intact, from a signer on the trust list.",
    ManifestState.VALID: "It carries a C2PA manifest that is intact, from a signer on no trust list of ours.",
    ManifestState.INVALID: "It carries a C2PA manifest that does not hold: something was changed afterwards.",
    ManifestState.UNREADABLE: "It carries a C2PA manifest that could not be read.",
    ManifestState.ELSEWHERE: "It names the address of a C2PA manifest, which is not fetched.",
}
# Of IPTC's digital source types, the frequent ones; others are shown as they are.
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "made by a generative model",
    "compositeWithTrainedAlgorithmicMedia": "composed, in part by a generative model",
    "compositeSynthetic": "composed of captured and synthetic parts",
    "algorithmicMedia": "made by an algorithm that was not trained",
    "digitalCapture": "captured by a camera",
    "computationalCapture": "captured by a camera that computes",
    "composite": "composed of several parts",
    "compositeCapture": "composed of captured parts",
    "humanEdits": "edited by a person",
}


def statements(provenance: Provenance | None) -> list[str]:
    """One sentence for each thing that is stated; never none."""
    if provenance is None:
        return ["Not looked for yet: screen it again."]
    return list(_sentences(provenance)) or ["Nothing."]


def _sentences(provenance: Provenance) -> Iterator[str]:
    if provenance.manifest is not None:
        yield STATES[provenance.manifest.state]
        yield from _signed(provenance.manifest)
    for one in provenance.source_types:
        yield f"Its metadata say: {SOURCE_TYPES.get(one, one)}."
    for one in provenance.generators:
        yield f"It carries marks that {one} leaves."


def _signed(manifest: Manifest) -> Iterator[str]:
    if manifest.signer:
        yield f"Signed by {manifest.signer}{f', {manifest.signed_at}' if manifest.signed_at else ''}."
    if manifest.claim_generator:
        yield f"Written by {manifest.claim_generator}."
    for one in sorted(manifest.source_types, key=lambda each: each not in AI_SOURCE_TYPES):
        yield f"The manifest says: {SOURCE_TYPES.get(one, one)}."
    if manifest.actions:
        yield f"Actions: {', '.join(one.removeprefix('c2pa.') for one in manifest.actions)}."
    if manifest.problems:
        yield f"What does not hold: {', '.join(manifest.problems)}."
