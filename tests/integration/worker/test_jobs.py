"""The jobs against SQLite and a real Valkey: every kind of bad file, the worker alive, the next job done."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from skimage.data import astronaut
from sqlalchemy import Engine

from core import queues
from core.model_version import read_model_version
from core.settings import Settings
from ingest.reconciler import Reconciler
from ingest.registration import Intake, Receipt, Registrar, register_version
from models.checkpoint import load_checkpoint, save_checkpoint
from models.face import Image
from review import rescreening
from storage.engine import transaction
from storage.objects.folder import FolderStore
from storage.read.detail import ScreeningDetail
from tests.integration.ingest.site import ingested
from tests.media import Media
from tests.screening_results import stored_screenings
from worker.process import run_worker

Result = Callable[[Path], ScreeningDetail]


def take_in(system: Settings, engine: Engine, *paths: Path) -> list[Receipt]:
    registrar = Registrar(system, engine, FolderStore(system.objects_folder))
    return ingested(list(paths), registrar, system)


def views(engine: Engine) -> dict[str, ScreeningDetail]:
    return {name: found for found in stored_screenings(engine) for name in found.names}


def still_video(media: Media, name: str, picture: Image, *, frames: int = 10, **options: Any) -> Path:
    height, width = picture.shape[:2]
    return media.video(name, frames=frames, size=(width, height), draw=lambda *_: picture, **options)


def cut(path: Path, clip: Path, part: float) -> Path:
    content = clip.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def test_bad_files_get_their_reasons_and_the_good_one_its_verdict(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "empty.mp4").touch()
    (drop / "text.mp4").write_text("this is no film\n" * 50)
    (drop / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:5,\n{face_clip}\n")
    cut(drop / "no moov.mp4", face_clip, 0.6)
    Media(drop).audio("audio.mp4")
    cv2.imwrite(str(drop / "pixel.png"), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(drop / "huge.png"), np.zeros((16384, 16384), np.uint8))
    odd = drop / "na\nme 😀.mp4"
    shutil.copy(face_clip, odd)

    receipts = {Path(receipt.name).name: receipt for receipt in take_in(system, engine, drop)}
    assert receipts["empty.mp4"].intake is Intake.FAILED
    assert run_worker(queues.SCREEN, system, burst=True) == 0
    found = {Path(name).name: video for name, video in views(engine).items()}
    codes = {name: video.item.error_code for name, video in found.items()}
    assert codes == {
        "empty.mp4": "empty_file",
        "text.mp4": "not_media",
        "playlist.mp4": "not_media",
        "no moov.mp4": "broken_media",
        "audio.mp4": "no_video_stream",
        "huge.png": "media_too_large",
        "pixel.png": None,
        odd.name: None,
    }
    assert found["pixel.png"].item.verdict == "no_face"
    good = found[odd.name]
    assert (good.item.verdict, good.item.coverage, good.item.partial) == ("fake", 1.0, False)
    # Every sample of five seconds; the detector may see another face in the background now and then.
    assert [track.usable_frames for track in good.tracks if track.score is not None] == [10]
    for name, video in found.items():
        if video.item.error_message is not None:
            assert repr(name)[1:-1] in video.item.error_message, "the message names the file"


def test_flagged_frames_are_explained_and_a_second_run_changes_nothing(
    system: Settings, engine: Engine, face_clip: Path
) -> None:
    take_in(system, engine, face_clip)
    run_worker(queues.SCREEN, system, burst=True)
    run_worker(queues.EXPLAIN, system, burst=True)
    (video,) = views(engine).values()
    assert len(video.flagged_frames) == 3
    objects = FolderStore(system.objects_folder)
    for frame in video.flagged_frames:
        assert frame.explain_status == "done"
        methods = {explanation.method: explanation for explanation in frame.explanations}
        assert set(methods) == {"lime", "grad_cam"}
        assert set(methods["lime"].overlays) == {"boundaries", "heat", "positive"}
        assert methods["lime"].r2 is not None
        assert methods["lime"].stability is not None
        assert {"mouth", "nose", "left eye"} <= set(methods["lime"].parts)
        assert all(
            objects.path(key).stat().st_size > 0
            for explanation in frame.explanations
            for key in explanation.overlays.values()
        )
    queues.enqueue_screen(queues.connect(system.queue_url), video.item.screening_id, 1, job_seconds=60)
    run_worker(queues.SCREEN, system, burst=True)
    assert views(engine) == {video.names[0]: video}


def test_another_model_version_is_run_from_the_checkpoint_beside(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    network, version = load_checkpoint(system.weights)
    today = tmp_path / "today.safetensors"
    save_checkpoint(today, network, version)
    other = save_checkpoint(tmp_path / "other.safetensors", network, replace(version, label="other"))
    (tmp_path / "broken.safetensors").write_bytes(b"none of ours")
    system = system.model_copy(update={"weights": today})
    take_in(system, engine, face_clip)
    with transaction(engine) as session:
        register_version(session, other)
    (video,) = stored_screenings(engine)
    rescreening.ask(engine, system, video_id=video.item.video_id, model_version=other.id, actor="anna")
    run_worker(queues.SCREEN, system, burst=True)
    run_worker(queues.EXPLAIN, system, burst=True)
    made = {each.item.model_version: each for each in stored_screenings(engine)}
    assert set(made) == {read_model_version(today).id, other.id}
    for each in made.values():
        assert (each.item.status, each.item.verdict) == ("done", "fake")
        assert all(frame.explanations for frame in each.flagged_frames)


def test_the_same_content_under_two_names_is_screened_once(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    shutil.copy(face_clip, copy)
    first, second = take_in(system, engine, face_clip, copy)
    assert (first.intake, second.intake) == (Intake.QUEUED, Intake.KNOWN)
    assert queues.depth(queues.connect(system.queue_url), queues.SCREEN) == 1
    (video,) = stored_screenings(engine)
    assert len(video.names) == 2


def test_content_that_vanishes_before_screening_is_missed_by_name(
    system: Settings, engine: Engine, face_clip: Path
) -> None:
    take_in(system, engine, face_clip)
    shutil.rmtree(system.objects_folder)
    assert run_worker(queues.SCREEN, system, burst=True) == 0
    (video,) = views(engine).values()
    assert video.item.error_code == "file_vanished"


def test_a_link_is_refused_and_says_so(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "link.mp4").symlink_to(face_clip)
    (receipt,) = take_in(system, engine, folder)
    assert receipt.intake is Intake.REFUSED
    assert receipt.error is not None
    assert receipt.error.code == "unsafe_path"
    assert views(engine) == {}


def test_a_flushed_queue_is_filled_again(system: Settings, engine: Engine, face_clip: Path) -> None:
    take_in(system, engine, face_clip)
    connection = queues.connect(system.queue_url)
    connection.flushall()
    reconciler = Reconciler(system, engine)
    assert reconciler.run_once().enqueued == 1
    assert reconciler.run_once().enqueued == 0
    run_worker(queues.SCREEN, system, burst=True)
    connection.flushall()
    assert reconciler.run_once().enqueued == 3  # the explanations
    assert {video.item.status for video in views(engine).values()} == {"done"}


def test_cut_off_damaged_gray_and_crowded_videos(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path
) -> None:
    photograph = np.ascontiguousarray(astronaut()[0:256, 96:352])
    gray = np.repeat(photograph.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    small = np.asarray(cv2.resize(photograph, (160, 160), interpolation=cv2.INTER_AREA), np.uint8)
    crowd = np.tile(small, (5, 8, 1))
    damaged = bytearray(face_clip.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + len(damaged) // 8] = bytes(len(damaged) // 8)
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    still = partial(still_video, Media(tmp_path))
    paths = [
        tmp_path / "damaged.mp4",
        still("gray.mp4", gray, pixel_format="gray"),
        still("ten bits.mp4", photograph, pixel_format="yuv420p10le"),
        still("one frame.mp4", photograph, frames=1),
        still("nobody.mp4", np.full((128, 128, 3), 90, np.uint8)),
    ]
    cv2.imwrite(str(tmp_path / "crowd.png"), crowd[..., ::-1])
    take_in(system, engine, *paths, tmp_path / "crowd.png")
    run_worker(queues.SCREEN, system, burst=True)
    found = {Path(name).name: video for name, video in views(engine).items()}
    assert found["damaged.mp4"].item.partial
    assert 0 < (found["damaged.mp4"].item.coverage or 0) < 1
    assert found["gray.mp4"].item.verdict == found["ten bits.mp4"].item.verdict == "fake"
    assert found["one frame.mp4"].item.verdict == "fake"
    assert found["nobody.mp4"].item.verdict == "no_face"
    assert len(found["crowd.png"].tracks) >= 36


def test_a_copy_coded_anew_smaller_and_mirrored_is_recognised(
    system: Settings, engine: Engine, face_clip: Path, tmp_path: Path, media: Media
) -> None:
    frames = [picture[:, ::-1] for picture in pictures(face_clip)]
    copy = media.video(
        "copy.mp4",
        frames=len(frames),
        size=(480, 360),
        draw=lambda number, *_: cv2.resize(np.ascontiguousarray(frames[number]), (480, 360)),
    )
    take_in(system, engine, face_clip, copy)
    run_worker(queues.SCREEN, system, burst=True)
    found = {Path(name).name: video for name, video in views(engine).items()}
    for name, other in (("copy.mp4", face_clip.name), (face_clip.name, "copy.mp4")):
        (known,) = found[name].known
        assert (known.name.rpartition("/")[2], known.mirrored) == (other, True)
        assert known.distance <= system.known.distance
        assert max(known.share, known.other_share) >= system.known.share


def pictures(clip: Path) -> list[Image]:
    """Every fifth frame of a clip, RGB."""
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::5]
