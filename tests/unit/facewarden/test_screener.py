"""The front door: one call for one file, a `Screener` for many, and typed answers."""

import ast
import dataclasses
import inspect
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import structlog

import facewarden
from core.settings import Settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
HEAVY = "torch timm openvino sqlalchemy redis rq fastapi"


@pytest.fixture
def quick(settings: Settings, checkpoint: Path) -> Settings:
    """A small network that calls every face fake."""
    sampling = settings.sampling.model_copy(update={"max_frames": 8})
    update = {"weights": checkpoint, "device": "cpu", "backend": "fp32", "sampling": sampling}
    return settings.model_copy(update=update)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((80, 80, 3), 128, np.uint8))
    return path


def test_a_file_is_screened_in_one_call(quick: Settings, face_clip: Path) -> None:
    screened = facewarden.screen(face_clip, quick)
    assert screened.verdict is facewarden.Verdict.FAKE
    assert str(screened.verdict) == "fake"
    assert screened.score == screened.video.score
    assert screened.score is not None
    assert 0 <= screened.score <= 1
    assert (screened.coverage, screened.unseen) == (1.0, ())
    assert screened.model_version.architecture == "smallcnn"
    assert (screened.probe.width, screened.probe.height) == (960, 720)
    track = screened.tracks[0]
    assert 0 <= track.start_seconds < track.end_seconds <= 5
    assert track.flagged_ranges
    assert {face.track_number for face in screened.faces} == {each.number for each in screened.tracks}
    assert screened.evidence
    with pytest.raises(dataclasses.FrozenInstanceError):
        screened.video = None  # type: ignore[misc,assignment]


def test_many_files_share_the_models_and_a_bad_one_stops_nothing(
    quick: Settings, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("not a film")
    screener = facewarden.Screener(quick)
    paths = [picture, str(tmp_path / "text.mp4"), tmp_path, "/", "nul\0.mp4", tmp_path / "gone.mp4", picture]
    outcomes = screener.screen_many(paths)  # type: ignore[arg-type]
    told = [
        (path, outcome.code if isinstance(outcome, facewarden.InputError) else outcome.verdict.value)
        for path, outcome in outcomes
    ]
    assert told == [
        (picture, "no_face"),
        (tmp_path / "text.mp4", "not_media"),
        (tmp_path, "unsafe_path"),
        (Path("/"), "unsafe_path"),
        (Path("nul\0.mp4"), "unsafe_path"),
        (tmp_path / "gone.mp4", "file_vanished"),
        (picture, "no_face"),
    ]
    assert screener.model_version.architecture == "smallcnn"


def test_errors_name_the_file_as_its_user_did(quick: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(quick.home.parent)
    Path("folder").mkdir()
    Path("folder/loop.mp4").symlink_to("loop.mp4")
    screener = facewarden.Screener(quick)
    with pytest.raises(facewarden.InputError, match=r"^folder/gone\.mp4: there is no such file"):
        screener.screen("folder/gone.mp4")
    with pytest.raises(facewarden.InputError, match=r"^folder/loop\.mp4: refused"):
        screener.screen("folder/loop.mp4")


def test_the_users_own_link_is_followed_as_by_the_command(quick: Settings, picture: Path) -> None:
    link = picture.with_name("link.png")
    link.symlink_to(picture)
    assert facewarden.screen(link, quick).verdict == "no_face"


def test_a_file_above_the_limit_is_refused(quick: Settings, picture: Path) -> None:
    ingest = quick.ingest.model_copy(update={"max_file_bytes": 10})
    with pytest.raises(facewarden.InputError, match="MAX_FILE_BYTES"):
        facewarden.screen(picture, quick.model_copy(update={"ingest": ingest}))


def test_progress_is_told(quick: Settings, face_clip: Path) -> None:
    told: list[tuple[int, int]] = []
    facewarden.Screener(quick).screen(
        face_clip, progress=lambda done, expected: told.append((done, expected))
    )
    assert told[-1] == (8, 8)


def test_threads_wait_for_each_other(quick: Settings, picture: Path) -> None:
    screener = facewarden.Screener(quick)
    within, together = threading.Semaphore(1), []
    screen = screener._pipeline.screen

    def watched(*args: object, **kwargs: object) -> object:
        together.append(not within.acquire(blocking=False))
        try:
            return screen(*args, **kwargs)  # type: ignore[arg-type]
        finally:
            within.release()

    screener._pipeline.screen = watched  # type: ignore[method-assign,assignment]
    threads = [threading.Thread(target=screener.screen, args=(picture,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [False] * 4


def test_what_cannot_work_is_told_when_the_models_are_loaded(
    quick: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(facewarden.WeightsError, match=r"gone\.safetensors"):
        facewarden.Screener(quick.model_copy(update={"weights": tmp_path / "gone.safetensors"}))
    with pytest.raises(facewarden.SettingsError, match="FACEWARDEN_BACKEND"):
        facewarden.Screener(quick.model_copy(update={"backend": "fp16"}))
    monkeypatch.setenv("FACEWARDEN_DEVICE", "quantum")
    with pytest.raises(facewarden.SettingsError, match="FACEWARDEN_DEVICE"):
        facewarden.Screener()


def test_stdout_is_the_programs(quick: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    facewarden.Screener(quick)
    structlog.get_logger().warning("backend differs", name="a\x1b[2J.mp4")
    out, err = capsys.readouterr()
    assert (out, "backend differs" in err, "\x1b[2J" in err) == ("", True, False)


def test_a_program_keeps_the_logging_that_it_set_up(
    quick: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    facewarden.Screener(quick)
    structlog.get_logger().warning("backend differs")
    assert capsys.readouterr().out == '{"event": "backend differs"}\n'


def test_importing_it_loads_no_torch_and_nothing_of_the_service() -> None:
    code = f"import sys, facewarden; print({HEAVY.split()!r} & sys.modules.keys())"
    code = code.replace("[", "{").replace("]", "}")
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_every_name_it_gives_is_explained_and_typed() -> None:
    assert sorted(facewarden.__all__) == facewarden.__all__
    given = [getattr(facewarden, name) for name in facewarden.__all__]
    assert [one for one in given if not one.__doc__ or one.__doc__.startswith(f"{one.__name__}(")] == []
    packages = {one.__module__.partition(".")[0] for one in given}
    assert {name for name in packages if not (ROOT / name / "py.typed").exists()} == set()


def test_the_readmes_example_runs(
    quick: Settings,
    face_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (tmp_path / "clip.mp4").hardlink_to(face_clip)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEWARDEN_WEIGHTS", str(quick.weights))
    monkeypatch.setenv("FACEWARDEN_BACKEND", "fp32")
    monkeypatch.setenv("FACEWARDEN_SAMPLING__MAX_FRAMES", "8")
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102  it is what the reader would type
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fake"
    assert lines[1].startswith("clip.mp4 fake ")
    assert "100% seen" in lines[1]
    assert re.fullmatch(r"  0\.\d+ [34]\.\d+ 0\.\d+ \[\(.*\)\]", lines[2])
    assert lines[-1].startswith("photo.jpg: there is no such file")
    assert os.listdir() == ["clip.mp4"]  # noqa: PTH208  names


def test_the_page_tells_all_that_a_result_holds() -> None:
    page = (ROOT / "docs/library.md").read_text().partition("\n## A client of an installation")[0]
    held = {field.name for field in dataclasses.fields(facewarden.Screened)}
    held |= {name for name, value in vars(facewarden.Screened).items() if isinstance(value, property)}
    assert (
        set(re.findall(r"^\| `(\w+)` \|", page, re.M)) - {"Screened", "InputError", "ServiceUnavailable"}
        == held
    )


def test_type_checkers_see_that_no_setting_must_be_given() -> None:
    """A default by position they take for none, unless they have pydantic's plugin."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(Settings))).body
    assert isinstance(tree, ast.ClassDef)
    fields = [each.value for each in tree.body if isinstance(each, ast.AnnAssign)]
    assert len(fields) == len(Settings.model_fields)
    named = [{word.arg for word in field.keywords} for field in fields if isinstance(field, ast.Call)]
    assert all(words & {"default", "default_factory"} for words in named)
