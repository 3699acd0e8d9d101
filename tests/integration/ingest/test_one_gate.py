"""Whatever a file is, `facewarden ingest` and `facewarden screen` say the same of it."""

import io
import os
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from cli.screening import screen_one
from core.media_formats import FORMATS, format_of
from core.settings import IngestSettings
from ingest.bucket import named_files
from ingest.registration import Intake
from tests.integration.ingest.site import MP4, Site, ingested
from worker.screening.loading import load_pipeline

LARGEST = 100_000  # bytes


def jpeg() -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 150)).save(stored, "JPEG")
    return stored.getvalue()


CONTENTS = {
    "empty.mp4": (b"", "empty_file"),
    "large.mp4": (MP4 + bytes(LARGEST), "media_too_large"),
    "text.mp4": (b"not a film", "not_media"),
    "list.m3u8": (b"#EXTM3U\n#EXTINF:4,\n/etc/passwd\n", "not_media"),
    "zeros.mp4": (bytes(5000), "not_media"),
    "page.html": (b"<html><video src='http://127.0.0.1/x'></html>", "not_media"),
    "a.psd": (b"8BPS\0\1" + bytes(100), "unsupported_media"),
    "a.jxl": (b"\xff\x0a" + bytes(100), "unsupported_media"),
    "a.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100), "unsupported_media"),
    "a.rm": (b".RMF\0\0\0\x12" + bytes(100), "unsupported_media"),
    "a.y4m": (b"YUV4MPEG2 W64 H64 F25:1\n" + bytes(100), "unsupported_media"),
    "\\odd\n name.jpg": (b"8BPS" + bytes(9), "unsupported_media"),
    "whole.jpg": (jpeg(), None),
}


@pytest.fixture
def outcomes(site: Site, tmp_path: Path, checkpoint: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Code and message by name, of `ingest` and of `screen`; None for what passes the gate."""
    ingest = IngestSettings(max_file_bytes=LARGEST)
    settings = site.settings.model_copy(update={"ingest": ingest, "backend": "fp32"})
    site.registrar._settings = settings
    folder = tmp_path / "files"
    folder.mkdir()
    for name, (content, _) in CONTENTS.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.mp4")
    (folder / "link.jpg").symlink_to(folder / "whole.jpg")
    (folder / "out").symlink_to("/etc")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    paths = [folder, folder / "gone.mp4", Path("/dev/null"), tmp_path / "loop.jpg"]
    taken = {
        receipt.name: receipt.error and (receipt.error.code, str(receipt.error))
        for receipt in ingested(paths, site.registrar, settings)
        if receipt.intake != Intake.UNSETTLED
    }
    pipeline = load_pipeline(settings.model_copy(update={"weights": checkpoint, "device": "cpu"}))
    screened = {}
    for path, file, root in named_files(paths, ingest.left_alone_names):
        error = screen_one(pipeline, path, None, found=(file, root))["error"]
        screened[path.name] = error and (error["code"], error["message"])
    return cast("dict[str, object]", taken), cast("dict[str, object]", screened)


def test_ingest_and_screen_agree(outcomes: tuple[dict[str, object], dict[str, object]]) -> None:
    taken, screened = outcomes
    assert list(taken.values()) == list(screened.values())
    codes = {name: error[0] if isinstance(error, tuple) else None for name, error in screened.items()}
    assert codes == {name: code for name, (_, code) in CONTENTS.items()} | {
        "pipe.mp4": "unsafe_path",
        "link.jpg": "unsafe_path",
        "out": "unsafe_path",
        "null": "unsafe_path",
        "loop.jpg": "unsafe_path",
        "gone.mp4": "file_vanished",
    }


def test_the_table_names_formats_that_exist() -> None:
    heads = [content for content, code in CONTENTS.values() if code == "unsupported_media"]
    assert {format_of(head) for head in heads} <= set(FORMATS)
