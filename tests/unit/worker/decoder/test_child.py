"""A decoder that hangs, crashes or lies: killed, explained, and gone."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from PIL import Image
from structlog.testing import capture_logs

from core.errors import DecoderKilled, FacewardenError, NotMedia, ServiceUnavailable
from core.settings import DecodeSettings, SamplingSettings
from tests.media import Media
from tests.waiting import PATIENCE_SECONDS, until
from worker.decoder.child import COMMAND, _warn_of
from worker.decoder.reader import VideoReader

pytestmark = pytest.mark.slow

Children = Callable[[], list[psutil.Process]]
MANY = SamplingSettings(min_frames=64)  # more than the shared memory holds: the decoder has to wait
STALL = 3.0  # seconds, in which a decoder starts on a busy machine too


@pytest.fixture(scope="module")
def collected() -> Iterator[None]:
    """What earlier tests left to the collector is gone, and what stays is not looked at again: with torch
    and all that the tests hold, each look takes a second.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_left(collected: None, new_children: Children) -> Iterator[None]:
    """Whatever happens, no process and no descriptor stays behind."""
    gc.collect()  # what the test before left to the collector is not this one's
    descriptors = psutil.Process().num_fds()
    yield
    assert new_children() == []
    assert psutil.Process().num_fds() == descriptors


@pytest.fixture
def clip(media: Media) -> Path:
    return media.video("clip.mp4", frames=100)


def read(
    path: Path, command: Sequence[str] = COMMAND, sampling: SamplingSettings = MANY, **decode: float
) -> int:
    settings = DecodeSettings(**{"stall_seconds": 0.3, **decode})
    with VideoReader(path, settings, sampling, name="clip", command=command) as reader:
        return sum(1 for _ in reader)


def actor(script: str) -> list[str]:
    """A decoder that does as `script` says once it has its request."""
    lines = [
        "import json, os, signal, sys, time",
        "request = json.loads(sys.stdin.buffer.readline())",
        "def say(**message): os.write(1, json.dumps(message).encode() + b'\\n')",
        script,
    ]
    return [sys.executable, "-I", "-c", "\n".join(lines)]


def test_one_that_hangs_before_its_first_word(clip: Path) -> None:
    with pytest.raises(DecoderKilled, match=r"it was silent for 0\.3 s.*DECODE__STALL_SECONDS"):
        read(clip, actor("time.sleep(60)"))


def test_one_that_hangs_and_cannot_be_asked_to_stop(clip: Path) -> None:
    with pytest.raises(DecoderKilled, match="STALL_SECONDS"):
        read(clip, actor("signal.signal(signal.SIGTERM, signal.SIG_IGN); say(kind='ready'); time.sleep(60)"))


def test_one_that_stops_in_the_middle(clip: Path, new_children: Children) -> None:
    reader = VideoReader(clip, DecodeSettings(stall_seconds=STALL), MANY, name="clip")

    def consume() -> None:
        with reader:
            for frame in reader:
                if frame.index == 0:
                    new_children()[0].send_signal(signal.SIGSTOP)

    with pytest.raises(DecoderKilled, match="STALL_SECONDS"):
        consume()
    assert reader.report is not None
    assert 0 < reader.report.coverage < 1


def test_one_that_is_killed_in_the_middle(clip: Path, new_children: Children) -> None:
    def consume() -> None:
        with VideoReader(clip, DecodeSettings(), MANY, name="clip") as reader:
            for frame in reader:
                if frame.index == 0:
                    new_children()[0].kill()

    with pytest.raises(DecoderKilled, match="something killed it"):
        consume()


def test_signs_of_life_keep_it(clip: Path) -> None:
    script = f"for _ in range(12): say(kind='heartbeat'); time.sleep({STALL / 10})\n"
    script += "say(kind='error', code='not_media', fields={})"
    with pytest.raises(NotMedia):
        read(clip, actor("say(kind='ready')\n" + script), stall_seconds=STALL)


def test_a_slow_reader_is_not_a_hanging_decoder(clip: Path) -> None:
    with VideoReader(clip, DecodeSettings(stall_seconds=STALL), MANY, name="clip") as reader:
        for count, _ in enumerate(reader):
            if count in (0, 20):
                time.sleep(1.1 * STALL)
    assert reader.report is not None
    assert reader.report.coverage == 1.0


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV.*no setting helps"),
        ("os.kill(os.getpid(), 40)", "signal 40.*no setting helps"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", r"more than \d+ s of CPU time.*CPU_SECONDS"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "something killed it.*more memory, or run fewer workers"),
        ("os._exit(3)", "exit code 3.*No setting helps: this is a bug"),
        ("say(kind='out_of_memory')", "4096 MiB of memory.*MEMORY_BYTES"),
        ("say(kind='crashed', reason='KeyError: 1')", "KeyError.*No setting helps: this is a bug"),
        ("say(kind='refused', reason='EPERM')", "the sandbox refused.*EPERM.*this is a bug"),
    ],
)
def test_one_that_crashes(clip: Path, script: str, reason: str) -> None:
    with pytest.raises(DecoderKilled, match=reason):
        read(clip, actor("say(kind='ready')\n" + script), stall_seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize("ending", ["time.sleep(60)", "os._exit(3)", "os.abort()", "say(kind='crashed')"])
def test_what_it_started_goes_with_it(clip: Path, tmp_path: Path, ending: str) -> None:
    """Of our decoder the sandbox refuses it; where a kernel has none, no grandchild stays behind."""
    told = tmp_path / "grandchild"
    script = f"""
if os.fork() == 0:
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    time.sleep(300)
    os._exit(0)
if os.fork() == 0:
    open({str(told)!r}, "w").write(str(os.getpid()))
    os.close(1)
    time.sleep(300)
    os._exit(0)
while not os.path.exists({str(told)!r}) or not os.path.getsize({str(told)!r}):
    time.sleep(0.01)
say(kind='ready')
{ending}
"""
    with pytest.raises(DecoderKilled):
        read(clip, actor(script), stall_seconds=STALL if "sleep" in ending else PATIENCE_SECONDS)
    grandchild = int(told.read_text())
    until(lambda: gone(grandchild), "the end of a grandchild")


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def ours(change: str) -> list[str]:
    """The real decoder, after `change`."""
    imports = (
        "from worker.decoder import process\n"
        "from worker.decoder.sandbox import lockdown, seccomp, system_calls\n"
    )
    return [sys.executable, "-I", "-B", "-c", f"{imports}{change}\nprocess.main()"]


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ("open('/etc/hostname')", "PermissionError.*hostname.* in <string>:"),
        ("import wave", "ModuleNotFoundError.*wave.* in <string>:"),
        ("b'x'.decode('cp850')", "LookupError: unknown encoding: cp850 in <string>:"),
        ("hidden()", r"\[Errno 1\] Operation not permitted"),
    ],
)
def test_a_refusal_is_no_riddle(clip: Path, attempt: str, reason: str) -> None:
    """Also one that a decoder took for damage: what it needs must not be refused."""
    change = f"""
import os
from core.errors import BrokenMedia

def hidden():
    try:
        os.stat('/')
    except OSError as error:
        raise BrokenMedia(name='clip', reason=str(error)) from None

def decode(file, request, channel):
    {attempt}

process._decoder_of = lambda file: decode
"""
    with pytest.raises(DecoderKilled, match=f"the sandbox refused a call.*{reason}.*a bug"):
        read(clip, ours(change), stall_seconds=PATIENCE_SECONDS)


NO_SANDBOX = ours("""
import errno, os

class Old(system_calls.Kernel):
    def call(self, name, *arguments):
        if name in ("landlock_create_ruleset", "seccomp"):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        return super().call(name, *arguments)

lockdown.Kernel = Old
""")


def test_a_kernel_without_the_sandbox_decodes_and_is_told_of_once(clip: Path) -> None:
    _warn_of.cache_clear()
    with capture_logs() as logs:
        assert (
            read(clip, NO_SANDBOX, stall_seconds=PATIENCE_SECONDS)
            == read(clip, NO_SANDBOX, stall_seconds=PATIENCE_SECONDS)
            > 0
        )
    assert [(log["log_level"], log["part"], log["reason"]) for log in logs] == [
        ("warning", "landlock", "Function not implemented"),
        ("warning", "seccomp", "Function not implemented"),
    ]


def test_a_sandbox_without_sense_is_not_believed(clip: Path) -> None:
    with pytest.raises(DecoderKilled, match="makes no sense"):
        read(clip, actor("say(kind='ready', sandbox=[1])"), stall_seconds=PATIENCE_SECONDS)


def test_a_lock_down_that_fails_is_no_fault_of_the_file(clip: Path) -> None:
    change = "def fails(**_): raise RuntimeError('no lock')\nlockdown.lock_down = fails"
    with pytest.raises(ServiceUnavailable, match="no lock"):
        read(clip, ours(change), stall_seconds=PATIENCE_SECONDS)


# Ends the process at any refused call but those that are known to do no harm: `newfstatat`, by which glibc
# asks for the size of an open file, and `openat`, by which it looks for a table of ancient letters, for the
# names of television stations.
STRICT = ours("""
import errno, os
seccomp.REFUSE = seccomp.KILL
harmless = {"x86_64": (262, 257), "aarch64": (79, 56)}[os.uname().machine]

def strict(kernel, program=seccomp.program):
    *code, refusal = program(kernel)
    yield from code
    for number in harmless:
        yield seccomp.EQUALS, 0, 1, number
        yield seccomp.RETURN, 0, 0, 0x00050000 | errno.EPERM
    yield refusal

seccomp.program = strict
""")


def test_the_strict_sandbox_ends_what_is_refused(clip: Path) -> None:
    main = "process.main()"
    change = "process._decoder_of = lambda file: lambda *_: os.getsid(0)"
    command = [*STRICT[:-1], STRICT[-1].replace(main, f"{change}\n{main}")]
    with pytest.raises(DecoderKilled, match="SIGSYS"):
        read(clip, command, stall_seconds=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("b.mp4", "libx265", "yuv420p10le"),
        ("c.mp4", "libsvtav1", "yuv420p"),
        ("d.webm", "libvpx-vp9", "yuv420p"),
        ("e.webm", "libvpx", "yuv420p"),
        ("f.avi", "mpeg4", "yuv420p"),
        ("g.mov", "prores_ks", "yuv422p10le"),
        ("h.mov", "mjpeg", "yuvj420p"),
        ("i.mkv", "ffv1", "yuv420p"),
        ("j.ts", "mpeg2video", "yuv420p"),
    ],
)
def test_a_video_needs_no_call_that_is_refused(
    media: Media, name: str, codec: str, pixel_format: str
) -> None:
    path = media.video(name, codec=codec, pixel_format=pixel_format, frames=5)
    assert read(path, STRICT, stall_seconds=PATIENCE_SECONDS) == 5


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_a_still_needs_no_call_that_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    Image.new("RGB", (400, 300), (10, 200, 30)).save(path)
    assert read(path, STRICT, stall_seconds=PATIENCE_SECONDS) == 1


PROBE = {
    "kind": "probe",
    "container": "mov",
    "codec": "h264",
    "pixel_format": "yuv420p",
    "width": 8,
    "height": 8,
    "rotation": 0,
    "duration_seconds": 1.0,
    "frame_rate": 25.0,
    "frames": 25,
    "expected_samples": 2,
}
HEADER = {
    "index": 0,
    "seconds": 0.0,
    "keyframe": True,
    "damaged": False,
    "width": 8,
    "height": 8,
    "orientation": {"transpose": False, "flip_x": False, "flip_y": False},
}
FRAME = {"kind": "frame", "offset": 0, "header": HEADER}


@pytest.mark.parametrize(
    "messages",
    [
        [b"no json"],
        [b"[1, 2]"],
        [b'{"kind": "dance"}'],
        [b"[" * 60_000],
        [b"x" * 200_000],
        [{**PROBE, "width": "wide"}],
        [{"kind": "probe"}],
        [json.dumps({**PROBE, "duration_seconds": 1e9}).replace("1000000000.0", "NaN").encode()],
        [FRAME],
        [PROBE, {**FRAME, "offset": -1}],
        [PROBE, {**FRAME, "offset": 1 << 60}],
        [PROBE, {**FRAME, "header": {**HEADER, "width": 1_000_000, "height": 1_000_000}}],
        [PROBE, {**FRAME, "header": {**HEADER, "width": -8, "height": -8}}],
        [PROBE, {**FRAME, "header": None}],
        [PROBE, FRAME, FRAME, FRAME],
        [PROBE, {"kind": "done"}],
        [PROBE, PROBE],
    ],
)
def test_one_that_was_taken_over_is_not_believed(clip: Path, tmp_path: Path, messages: list[object]) -> None:
    said = b"".join(
        (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n"
        for message in messages
    )
    (tmp_path / "said").write_bytes(said)
    script = f"say(kind='ready'); sys.stdout.buffer.write(open({str(tmp_path / 'said')!r}, 'rb').read())"
    with pytest.raises(DecoderKilled, match="makes no sense"):
        read(clip, actor(script + "; sys.stdout.flush(); time.sleep(60)"), stall_seconds=PATIENCE_SECONDS)


def test_one_that_takes_the_shared_memory_away_is_survived(clip: Path) -> None:
    said = b"".join(json.dumps(message).encode() + b"\n" for message in (PROBE, FRAME))
    script = f"say(kind='ready'); os.ftruncate(request['memory'], 0); os.write(1, {said!r}); time.sleep(60)"
    with pytest.raises(DecoderKilled, match="makes no sense"):
        read(clip, actor(script), stall_seconds=PATIENCE_SECONDS)


def test_a_message_cannot_forge_the_name_or_a_strange_error(clip: Path) -> None:
    script = "say(kind='error', code='weights_error', fields={'name': 'other', 'reason': 'r\\n\\x1b[31m'})"
    with pytest.raises(FacewardenError) as caught:
        read(clip, actor("say(kind='ready')\n" + script), stall_seconds=PATIENCE_SECONDS)
    assert str(caught.value).startswith("clip: no frame could be decoded")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_an_installation_that_is_broken_is_no_fault_of_the_file(clip: Path) -> None:
    """It can be mended, and the job tried again: the file must not be marked as damaged."""
    with pytest.raises(ServiceUnavailable, match="no_such_module"):
        read(clip, [sys.executable, "-I", "-m", "no_such_module"], stall_seconds=PATIENCE_SECONDS)


def test_too_little_memory_is_said(clip: Path) -> None:
    with pytest.raises(DecoderKilled, match="MEMORY_BYTES"):
        read(clip, memory_bytes=64 * 1024**2, stall_seconds=PATIENCE_SECONDS)


def test_it_starts_in_a_place_without_secrets_and_without_our_files(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWARDEN_DATABASE_URL", "postgresql://user:secret@host/db")
    script = (
        "told = ' '.join([*os.environ, os.getcwd(), str(os.getpgid(0) == os.getpid()), "
        "str(sorted(int(f) for f in os.listdir('/proc/self/fd')))])\n"
        "say(kind='error', code='broken_media', fields={'reason': told})"
    )
    with Path("/dev/null").open("rb"), pytest.raises(FacewardenError) as caught:
        read(clip, actor("say(kind='ready')\n" + script), stall_seconds=PATIENCE_SECONDS)
    told = str(caught.value)
    assert "FACEWARDEN" not in told
    assert " / True " in told
    descriptors = told[told.index("[") + 1 : told.index("]")].split(", ")
    assert len(descriptors) == 6  # stdin, stdout, stderr, the file, the memory, and the listing itself


def test_no_decoder_outlives_a_worker_that_is_killed(clip: Path) -> None:
    script = (
        "import sys, time, psutil\n"
        "from pathlib import Path\n"
        "from core.settings import DecodeSettings, SamplingSettings\n"
        "from worker.decoder.reader import VideoReader\n"
        "many = SamplingSettings(min_frames=64)\n"
        "with VideoReader(Path(sys.argv[1]), DecodeSettings(), many, name='c') as reader:\n"
        "    frames = iter(reader)\n"
        "    next(frames)\n"
        "    print(psutil.Process().children()[0].pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(clip)], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    decoder = int(worker.stdout.readline())
    assert psutil.pid_exists(decoder)
    worker.kill()
    worker.wait()
    worker.stdout.close()
    for _ in range(1200):
        if not psutil.pid_exists(decoder) or psutil.Process(decoder).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    os.kill(decoder, signal.SIGKILL)
    pytest.fail("the decoder outlived its worker")
