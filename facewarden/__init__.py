"""Facewarden as a library: is a face in this video or picture forged?

    import facewarden

    print(facewarden.screen("clip.mp4").verdict)

`screen` loads the models for one file; a `Screener` loads them once for many:

    screener = facewarden.Screener(facewarden.Settings(device="cpu"))
    for path, outcome in screener.screen_many(paths):
        if isinstance(outcome, facewarden.Screened):
            print(path, outcome.verdict, outcome.score)
        else:
            print(outcome)

It needs no database, no queue and no service. Importing it loads no torch: the first `Screener` does.
"""

from core.errors import FacewardenError, InputError, ServiceUnavailable, SettingsError, WeightsError
from core.model_version import ModelVersion
from core.outcomes import Verdict
from core.results import FaceResult, TrackResult
from core.settings import Settings
from facewarden.screener import Screener, screen
from worker.decoder.reader import DecodeReport, Probe
from worker.screening.aggregation import VideoScore
from worker.screening.evidence import Evidence
from worker.screening.screened import Screened

__all__ = [
    "DecodeReport",
    "Evidence",
    "FaceResult",
    "FacewardenError",
    "InputError",
    "ModelVersion",
    "Probe",
    "Screened",
    "Screener",
    "ServiceUnavailable",
    "Settings",
    "SettingsError",
    "TrackResult",
    "Verdict",
    "VideoScore",
    "WeightsError",
    "screen",
]
