"""What a file states about itself, in sentences."""

from core.provenance import Manifest, ManifestState, Provenance
from review.pages.provenance_view import statements


def test_that_nothing_is_stated_is_said() -> None:
    assert statements(Provenance()) == ["Nothing."]
    assert statements(None) == ["Not looked for yet: screen it again."]


def test_each_thing_is_a_sentence() -> None:
    manifest = Manifest(
        state=ManifestState.INVALID,
        signer="House",
        claim_generator="Camera 1",
        signed_at="2026-11-01T10:00:00Z",
        actions=("c2pa.created", "c2pa.edited"),
        source_types=("digitalCapture", "trainedAlgorithmicMedia"),
        problems=("assertion.dataHash.mismatch",),
    )
    found = Provenance(manifest=manifest, source_types=("unheardOf",), generators=("ComfyUI",))
    assert statements(found) == [
        "It carries a C2PA manifest that does not hold: something was changed afterwards.",
        "Signed by House, 2026-11-01T10:00:00Z.",
        "Written by Camera 1.",
        "The manifest says: made by a generative model.",
        "The manifest says: captured by a camera.",
        "Actions: created, edited.",
        "What does not hold: assertion.dataHash.mismatch.",
        "Its metadata say: unheardOf.",
        "It carries marks that ComfyUI leaves.",
    ]
