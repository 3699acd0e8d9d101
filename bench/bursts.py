"""Whether neighbouring frames betray what single frames do not: an experiment on whole clips.

    python -m bench.bursts --data FOLDER [--held-out sides.jsonl] [--out build/bursts.json]

FOLDER holds `manipulated/manipulated.jsonl` with whole clips, and genuine clips in `videos/`. Of the first
ten seconds of each clip, six bursts of four neighbouring frames are looked at, and for comparison as many
frames spread evenly. Bursts differ in how far the logit, the embedding and the landmarks move from frame to
frame. A logistic regression on the clip's score alone is compared with one that also sees these movements,
always on a method that it was not fitted on and on genuine people it was not fitted on.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.settings import SamplingSettings, Settings
from models.architectures import architecture
from models.classifier import Classifier
from models.crop import crop_standing
from models.detector import FaceDetector
from models.face import Face, Image
from worker.decoder.reader import VideoReader
from worker.screening.loading import load_classifier, load_detector

SECONDS = 10.0  # of a clip that are looked at, from its start
BURSTS, LENGTH = 6, 4  # bursts of a clip, frames of a burst
EVERY_FRAME = SamplingSettings(frames_per_second=120, short_frames=1200, max_frames=1200)
FOLDS = 5  # of the genuine groups
RESAMPLES = 2000
MOVEMENTS = ("logit", "embedding", "embedding against far frames", "landmarks", "jerk of the landmarks")

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Clip:
    path: Path
    method: str  # "genuine", or what made it
    group: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a clip; a float32 row per frame."""

    logits: Numbers  # (bursts, LENGTH)
    embeddings: Numbers  # (bursts, LENGTH, C), of length 1
    landmarks: Numbers  # (bursts, LENGTH, 5, 2), in face sizes
    even: Numbers  # (frames,) logits of as many frames spread evenly


def main() -> int:
    args = _arguments()
    settings = Settings(home=Path("build/bench"), device="cpu", log_level="error", _env_file=None)
    clips = clips_of(args.data)
    known = [(clip, measured) for clip, measured in _measure(clips, settings, args.cache) if measured]
    report: dict[str, Any] = {"clips": len(clips), "with a face in bursts": len(known)}
    report["all clips"] = compare(known)
    if args.held_out:
        unseen = {json.loads(line)["path"].rsplit("/", 1)[-1] for line in args.held_out.open()}
        report["clips that the network never saw"] = compare(
            [each for each in known if each[0].path.name in unseen or each[0].path.parent.name == "videos"]
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bursts", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, help="manifest of `facewarden hold-out`")
    parser.add_argument("--out", type=Path, default=Path("build/bursts.json"))
    parser.add_argument("--cache", type=Path, default=Path("build/bursts"), help="measurements, by clip")
    return parser.parse_args()


def clips_of(data: Path) -> list[Clip]:
    """The whole clips: manipulated, their genuine neighbours, and the trusted genuine ones."""
    rows = [json.loads(line) for line in (data / "manipulated" / "manipulated.jsonl").open()]
    clips = [
        Clip(path=data / "manipulated" / row["path"], method=row["method"], group=row["group"])
        for row in rows
        if Path(row["path"]).parts[0] == "videos"
    ]
    return clips + [
        Clip(path=path, method="genuine", group=path.stem) for path in sorted((data / "videos").glob("*.mp4"))
    ]


def _measure(clips: Sequence[Clip], settings: Settings, cache: Path) -> list[tuple[Clip, Measured | None]]:
    """Each clip with what was measured of it; kept in `cache`, so that a run goes on where it ended."""
    cache.mkdir(parents=True, exist_ok=True)
    detector = load_detector(settings)
    classifier = load_classifier(settings.model_copy(update={"backend": "fp32"}), settings.weights)
    found = []
    for clip in clips:
        name = hashlib.sha256(f"{clip.path.name} {classifier.version.id}".encode()).hexdigest()[:24]
        kept = cache / f"{name}.npz"
        if not kept.exists():
            measured = _look(clip.path, settings, detector, classifier)
            np.savez(kept, **(vars(measured) if measured else {}))
            print(f"{clip.method}: {clip.path.name}: {'measured' if measured else 'no face'}", flush=True)
        arrays = np.load(kept)
        found.append((clip, Measured(**arrays) if arrays.files else None))
    return found


def _look(path: Path, settings: Settings, detector: FaceDetector, classifier: Classifier) -> Measured | None:
    images: list[Image] = []
    with VideoReader(path, settings.decode, EVERY_FRAME) as reader:
        for frame in reader:
            if frame.time_seconds > SECONDS or frame.stream:
                break
            images.append(frame.image)
    starts = np.linspace(0, max(0, len(images) - LENGTH), BURSTS).round().astype(int)
    bursts = []
    for start in starts:
        faces = _followed(images[start : start + LENGTH], detector)
        if len(faces) == LENGTH:
            bursts.append((images[start : start + LENGTH], faces))
    spread = np.linspace(0, len(images) - 1, BURSTS * LENGTH).round().astype(int)
    alone = [(images[place], _followed([images[place]], detector)) for place in spread]
    singles = [(image, faces[0]) for image, faces in alone if faces]
    if len(bursts) < 2 or len(singles) < LENGTH:
        return None
    pairs = [pair for pictures, faces in bursts for pair in zip(pictures, faces, strict=True)]
    logits, embeddings = _answers([*pairs, *singles], classifier)
    shape = (len(bursts), LENGTH)
    return Measured(
        logits=logits[: len(pairs)].reshape(shape),
        embeddings=embeddings[: len(pairs)].reshape(*shape, -1),
        landmarks=np.stack([_in_face_sizes(faces) for _, faces in bursts]),
        even=logits[len(pairs) :],
    )


def _followed(images: Sequence[Image], detector: FaceDetector) -> list[Face]:
    """The largest face of the first picture, as long as it is found again."""
    faces: list[Face] = []
    for found in detector.detect(images):
        near = [face for face in found if not faces or face.box.iou(faces[-1].box) > 0.3]
        if not near:
            break
        faces.append(max(near, key=lambda face: face.box.width))
    return faces


def _in_face_sizes(faces: Sequence[Face]) -> Numbers:
    size = np.mean([face.box.width for face in faces])
    return np.stack([face.landmarks for face in faces]).astype(np.float64) / size


def _answers(pairs: Sequence[tuple[Image, Face]], classifier: Classifier) -> tuple[Numbers, Numbers]:
    """(N,) logits and (N, C) embeddings: what the classifier's last layer is given."""
    version = classifier.version
    kept: list[torch.Tensor] = []
    last = classifier.network.get_submodule(architecture(version.architecture).classifier)
    hook = last.register_forward_pre_hook(lambda _module, inputs: kept.append(inputs[0].float().cpu()))
    try:
        crops = [crop_standing(image, face, version.crop, version.input_size) for image, face in pairs]
        with torch.inference_mode():
            for start in range(0, len(crops), 16):
                answers = classifier.network(classifier.normalise(np.stack(crops[start : start + 16])))
                kept.append(answers[:, 0].float().cpu())
    finally:
        hook.remove()
    embeddings = torch.cat(kept[::2]).flatten(1).double().numpy()
    return torch.cat(kept[1::2]).double().numpy(), embeddings / np.linalg.norm(
        embeddings, axis=1, keepdims=True
    )


def movements(measured: Measured) -> Numbers:
    """One number for each of MOVEMENTS: means over the bursts."""
    steps = 1 - (measured.embeddings[:, 1:] * measured.embeddings[:, :-1]).sum(-1)
    middle = measured.embeddings[:, 0]
    far = 1 - (middle[1:] * middle[:-1]).sum(-1)
    moved = np.diff(measured.landmarks, axis=1)
    return np.array(
        [
            np.abs(np.diff(measured.logits, axis=1)).mean(),
            steps.mean(),
            steps.mean() / (far.mean() + 1e-3),
            np.linalg.norm(moved, axis=-1).mean(),
            np.linalg.norm(np.diff(moved, axis=1), axis=-1).mean(),
        ]
    )


def compare(known: Sequence[tuple[Clip, Measured]]) -> dict[str, Any]:
    """AUC on methods and people not fitted on, of each set of features, and what the movements add."""
    fake = np.array([clip.method != "genuine" for clip, _ in known])
    even = np.array([[each.even.mean()] for _, each in known])
    burst = np.array([[each.logits.mean()] for _, each in known])
    moved = np.log(np.array([movements(each) for _, each in known]) + 1e-6)
    sets = {
        "score of evenly spread frames": even,
        "score of the bursts": burst,
        "score of both": (even + burst) / 2,
        "movements alone": moved,
        "evenly spread frames and movements": np.hstack([even, moved]),
    }
    wins = {name: _wins(features, known, fake) for name, features in sets.items()}
    groups = np.array([clip.group for clip, _ in known])
    found: dict[str, Any] = {"fake": int(fake.sum()), "genuine": int((~fake).sum())}
    for name, won in wins.items():
        found[name] = {"AUC": round(float(np.nanmean(won)), 3)}
    for name in ("score of both", "evenly spread frames and movements"):
        gain = wins[name] - wins["score of evenly spread frames"]
        low, high = _interval(gain, groups[fake], groups[~fake])
        found[name] |= {"gain": round(float(np.nanmean(gain)), 3), "from": low, "to": high}
    found["AUC of each movement"] = {
        name: round(float(_higher(moved[fake, number], moved[~fake, number]).mean()), 3)
        for number, name in enumerate(MOVEMENTS)
    }
    return found


def _wins(features: Numbers, known: Sequence[tuple[Clip, Measured]], fake: NDArray[np.bool_]) -> Numbers:
    """(fakes, genuine): 1 where a fake of a method left out scores above a genuine clip left out."""
    methods = np.array([clip.method for clip, _ in known])
    folds = np.array([hashlib.sha256(clip.group.encode()).digest()[0] % FOLDS for clip, _ in known])
    won = np.full((int(fake.sum()), int((~fake).sum())), np.nan)
    for method in sorted(set(methods[fake])):
        for fold in sorted(set(folds[~fake])):
            fitted = np.where(fake, methods != method, folds != fold)
            if len(set(fake[fitted])) < 2:
                continue
            head = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced"))
            scores = head.fit(features[fitted], fake[fitted]).decision_function(features)
            ours, theirs = methods[fake] == method, folds[~fake] == fold
            won[np.ix_(ours, theirs)] = _higher(scores[fake][ours], scores[~fake][theirs])
    return won


def _higher(fakes: Numbers, genuine: Numbers) -> Numbers:
    return np.asarray(np.sign(fakes[:, None] - genuine[None]) / 2 + 0.5)


def _interval(gain: Numbers, fakes: NDArray[np.str_], genuine: NDArray[np.str_]) -> tuple[float, float]:
    """The 95% interval of the mean gain, over resamplings of the groups."""
    rng = np.random.default_rng(0)
    means = []
    for _ in range(RESAMPLES):
        weights = [_drawn(groups, rng) for groups in (fakes, genuine)]
        both = np.where(np.isnan(gain), 0, weights[0][:, None] * weights[1][None])
        if both.sum():
            means.append((both * np.nan_to_num(gain)).sum() / both.sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return round(float(low), 3), round(float(high), 3)


def _drawn(groups: NDArray[np.str_], rng: np.random.Generator) -> Numbers:
    """How often each entry was drawn, if groups are drawn with replacement."""
    names, places = np.unique(groups, return_inverse=True)
    return np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[places].astype(float)


if __name__ == "__main__":
    sys.exit(main())
