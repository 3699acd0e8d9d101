"""Files through the worker's own pipeline, in the process of whoever asks."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from core import gate, logs
from core.errors import InputError, UnsafePath
from core.media_signatures import HEAD_BYTES
from core.model_version import ModelVersion
from core.settings import Settings
from worker.screening.screened import Screened

Named = str | os.PathLike[str]  # a file, as its user names it


class Screener:
    """Screens one file after another with models that are loaded once.

    Threads may share it, and wait for each other; for several files at once take several processes. A forked
    process needs a `Screener` of its own.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Load the models, which takes some seconds, and some more where OpenVINO must convert them first.

        Args:
            settings: device, weights, sampling, thresholds, ...; left out, they come from the environment
                (`FACEWARDEN_*`) and from a file `.env`, as for the command. A conversion for OpenVINO is
                kept in the folder `settings.home`.

        Raises:
            SettingsError: a setting makes no sense, or this machine has no such device or backend.
            WeightsError: the checkpoint is missing, damaged or tampered with.
        """
        from worker.screening.loading import load_pipeline  # with torch, which `import facewarden` must not

        logs.leave_stdout_alone()
        self.settings = Settings.read() if settings is None else settings
        self._pipeline = load_pipeline(self.settings)
        self._lock = threading.Lock()

    @property
    def model_version(self) -> ModelVersion:
        """What judges: its id, label, calibration and thresholds."""
        return self._pipeline.classifier.version

    def screen(self, path: Named, *, progress: Callable[[int, int], None] | None = None) -> Screened:
        """Screen one video or picture; it is only read.

        Args:
            path: the file.
            progress: called now and then with the frames looked at and those expected.

        Raises:
            InputError: the file cannot be screened; `code` says why in a word, the message what to do.
            ServiceUnavailable: the decoder's process could not be started, whatever the file.
        """
        name = os.fspath(path)
        with self._lock:
            file = self._admitted(name)
            return self._pipeline.screen(file, name=name, progress=progress)

    def screen_many(self, paths: Iterable[Named]) -> Iterator[tuple[Path, Screened | InputError]]:
        """Screen files one after another, each when it is asked for: its path, and what became of it.

        A file that cannot be screened comes with its error and stops nothing. Raises ServiceUnavailable as
        `screen` does.
        """
        for path in paths:
            outcome: Screened | InputError
            try:
                outcome = self.screen(path)
            except InputError as error:
                outcome = error
            yield Path(path), outcome

    def _admitted(self, name: str) -> Path:
        """Where the file is; what no decoder should see is refused with the words of `facewarden screen`."""
        if "\0" in name:
            raise UnsafePath(name=name, reason="no name of a file holds a null character")
        file = Path(os.path.realpath(name))
        most = self.settings.ingest.max_file_bytes
        with gate.open_regular(file, root=file.parent, name=name, max_bytes=most) as opened:
            gate.sniff(next(gate.pieces(opened, name), b"")[:HEAD_BYTES], name)
        return file


def screen(path: Named, settings: Settings | None = None) -> Screened:
    """Screen one video or picture: `screen("clip.mp4").verdict`.

    It loads the models each time. For more than one file make a `Screener`, whose arguments and errors
    these are.
    """
    return Screener(settings).screen(path)
