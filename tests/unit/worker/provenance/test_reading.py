"""What a file states about where it comes from is read in the sandbox, and harms nothing."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.provenance import ManifestState, Provenance, Stated
from core.settings import ProvenanceSettings
from tests import c2pa_signing
from tests.c2pa_signing import House
from tests.media import Media
from worker.provenance.reading import read_provenance

SETTINGS = ProvenanceSettings()


@pytest.fixture(scope="module")
def house() -> House:
    return c2pa_signing.house()


def jpeg(**options: object) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 30)).save(target, "JPEG", **options)
    return target.getvalue()


def read(tmp_path: Path, content: bytes, settings: ProvenanceSettings = SETTINGS) -> Provenance:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_provenance(path, settings)


def test_an_intact_manifest_is_valid_and_told(tmp_path: Path, house: House) -> None:
    found = read(tmp_path, house.signed(jpeg(), "image/jpeg", "trainedAlgorithmicMedia"))
    signed = found.manifest
    assert signed is not None
    assert (signed.state, signed.signer) == (ManifestState.VALID, "Test House")
    assert signed.claim_generator == "Test Camera 1.0"
    assert (signed.actions, signed.source_types) == (("c2pa.created",), ("trainedAlgorithmicMedia",))
    assert signed.problems == ()
    assert found.stated is Stated.GENERATED


def test_a_signer_on_the_trust_list_is_trusted(tmp_path: Path, house: House) -> None:
    (tmp_path / "roots.pem").write_bytes(house.root)
    settings = ProvenanceSettings(trust_anchors=tmp_path / "roots.pem")
    found = read(tmp_path, house.signed(jpeg(), "image/jpeg"), settings)
    assert found.manifest is not None
    assert found.manifest.state is ManifestState.TRUSTED
    assert found.stated is Stated.SIGNED


def test_an_edit_afterwards_breaks_it(tmp_path: Path, house: House) -> None:
    content = bytearray(house.signed(jpeg(), "image/jpeg"))
    content[-20] ^= 1  # of the picture
    found = read(tmp_path, bytes(content))
    assert found.manifest is not None
    assert found.manifest.state is ManifestState.INVALID
    assert found.manifest.problems == ("assertion.dataHash.mismatch",)
    assert found.stated is Stated.BROKEN


def test_a_video_has_one_too(tmp_path: Path, house: House, media: Media) -> None:
    clip = media.video("clip.mp4", frames=10).read_bytes()
    signed = house.signed(clip, "video/mp4")
    assert read(tmp_path, signed).stated is Stated.SIGNED
    assert read(tmp_path, signed[:-1] + bytes([signed[-1] ^ 1])).stated is Stated.BROKEN


def test_without_any_nothing_is_said_and_no_process_started(tmp_path: Path) -> None:
    path = tmp_path / "plain.jpg"
    path.write_bytes(jpeg())
    found = read_provenance(path, SETTINGS, command=["/nowhere"])
    assert found == Provenance()
    assert found.stated is Stated.NOTHING
    assert read_provenance(tmp_path / "gone.jpg", SETTINGS) == Provenance()


def test_a_damaged_manifest_is_broken_or_unreadable(tmp_path: Path, house: House) -> None:
    signed = house.signed(jpeg(), "image/jpeg")
    start = signed.index(b"jumb")
    damaged = signed[: start + 60] + bytes(200) + signed[start + 260 :]
    assert read(tmp_path, damaged).stated in {Stated.BROKEN, Stated.NOTHING}
    assert read(tmp_path, jpeg() + b"jumb c2pa").manifest is None  # only looked like one


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("os.kill(os.getpid(), 11)", "ended without an answer (-11)"),
        ("print('[]')", "makes no sense"),
        ("print('x' * 9_000_000)", "ended without an answer"),
        ('print(\'{"store": {"manifests": 3}}\')', "KeyError"),
        ("time.sleep(60)", "more than 4 s"),
    ],
)
def test_whatever_becomes_of_its_reader_the_file_can_be_judged(
    tmp_path: Path, script: str, reason: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"jumb c2pa")
    command = [sys.executable, "-I", "-c", f"import os, sys, time; sys.stdin.readline(); {script}"]
    found = read_provenance(path, ProvenanceSettings(cpu_seconds=1), command=command)
    assert found.manifest is not None
    assert found.manifest.state is ManifestState.UNREADABLE
    assert reason in found.manifest.problems[0]
    assert found.stated is Stated.BROKEN


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description Iptc4xmpExt:DigitalSourceType='
    b'"http://cv.iptc.org/newscodes/digitalsourcetype/%s"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize(
    ("word", "stated"),
    [(b"compositeWithTrainedAlgorithmicMedia", Stated.GENERATED), (b"digitalCapture", Stated.NOTHING)],
)
def test_the_source_type_in_xmp(tmp_path: Path, word: bytes, stated: Stated) -> None:
    found = read(tmp_path, jpeg(xmp=XMP % word))
    assert found.source_types == (word.decode(),)
    assert found.stated is stated


def test_a_manifest_elsewhere_is_named_and_not_fetched(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta dcterms:provenance="https://manifests.example/1"></x:xmpmeta>'
    found = read(tmp_path, jpeg(xmp=xmp))
    assert found.manifest is not None
    assert found.manifest.state is ManifestState.ELSEWHERE
    assert found.stated is Stated.NOTHING


PARAMETERS = (
    "a face\nNegative prompt: blur\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1, Size: 512x512"
)


@pytest.mark.parametrize(
    ("key", "text", "name"),
    [
        ("parameters", PARAMETERS, "Stable Diffusion web UI"),
        ("prompt", '{"3": {"class_type": "KSampler", "inputs": {}}}', "ComfyUI"),
        ("invokeai_metadata", "{}", "InvokeAI"),
        ("Software", "NovelAI", "NovelAI"),
        ("Description", "a face --v 6 Job ID: 0a1b2c3d-1111-2222-3333-444455556666", "Midjourney"),
    ],
)
def test_marks_of_generators(tmp_path: Path, key: str, text: str, name: str) -> None:
    info = PngInfo()
    info.add_text(key, text)
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "PNG", pnginfo=info)
    found = read(tmp_path, target.getvalue())
    assert found.generators == (name,)
    assert found.stated is Stated.GENERATED


def test_marks_in_exif_are_wide(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + PARAMETERS.encode("utf-16-be")
    assert read(tmp_path, jpeg(exif=exif)).generators == ("Stable Diffusion web UI",)


def test_prose_about_a_tool_is_no_mark(tmp_path: Path) -> None:
    assert (
        read(tmp_path, jpeg(comment=b"Made without Midjourney, ComfyUI or Stable Diffusion")) == Provenance()
    )


def test_it_is_stored_and_comes_back(tmp_path: Path, house: House) -> None:
    found = read(tmp_path, house.signed(jpeg(), "image/jpeg"))
    again = Provenance.of(found.stored())
    assert (again.manifest, again.stated) == (found.manifest, found.stated)
    assert Provenance.of(Provenance().stored()) == Provenance()
