"""What a training run is asked to do."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.errors import SettingsError
from models.heads import Head
from models.model_version import UNTRAINED_LABEL
from models.training.pairs import PAIRS_PER_CLIP
from models.training.pseudofakes import TRAINED_KINDS
from models.training.sources import SHARES

Optimiser = Literal["adamw", "adam", "sam"]
LearningRates = Literal["cosine", "plateau"]
Precision = Literal["auto", "fp32", "bf16"]
Augmentation = Literal["world", "flips"]
Preset = Literal["default", "paper"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The default preset."""

    data: (
        Path  # folder of genuine faces and videos (models.training.faces), or a data set (…training.sources)
    )
    out: Path  # folder of state, history and result
    generators: tuple[Path, ...] = ()  # further data sets mixed in: pictures of a generator, say
    architecture: str = "xception"
    head: Head = "default"
    init: Path | None = None  # safetensors of a backbone to start from
    pretrained: bool = False  # start from the weights that timm's hub has
    label: str = UNTRAINED_LABEL
    preset: Preset = "default"
    steps: int = 900
    stop_at: int | None = None  # step at which this run ends, to be resumed, maybe with other `steps`
    epochs: int | None = None  # passes over the training faces; sets `steps`
    clips_per_batch: int = 2  # a clip is 8 pairs: 2 make batches of 32 pictures
    pairs_per_clip: int = PAIRS_PER_CLIP
    start_size: int = 112  # pixels, first part of the run
    input_size: int = 128  # pixels, last part of the run and ever after
    grow_at: float = 0.7  # part of the run after which pictures are of the final size
    sizes: tuple[tuple[float, int], ...] = ()  # (from which part of the run, pixels): instead of these three
    easy_until: float = 0.6  # part of the run over which forgeries grow hard
    final_difficulty: float = 0.7
    final_strength: float = 0.8  # of the degradation
    kinds: tuple[str, ...] = TRAINED_KINDS  # of pseudo-fakes
    pseudo_share: float | None = None  # of the clips; None: all of genuine data, none of labelled data
    augmentation: Augmentation = "world"  # of labelled faces: all that the world does, or mirroring alone
    shares: tuple[float, float, float] = SHARES  # of the groups of labelled data: train, validation, test
    frames_per_video: int = 16  # of labelled videos
    optimiser: Optimiser = "adamw"
    sam_radius: float = 0.05  # rho of sharpness-aware minimisation
    learning_rate: float = 3e-4
    learning_rates: LearningRates = "cosine"
    warmup_steps: int = 40
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    localisation: float = 1.0  # weight of the loss for where the forgery is; 0 for none
    ema_decay: float = 0.995  # fast: runs are short; 0 for no average
    keep: Literal["last", "best"] = "last"  # best: by validation loss
    precision: Precision = "auto"  # bf16 on CUDA, fp32 on a CPU
    compile: bool = False
    margin: float = 1.3  # of the crops
    limit: int | None = None  # records used, for trials
    validate_every: int = 100
    checkpoint_every: int = 25  # 0 for never: then nothing can be resumed
    validation_clips: int = 12  # per side: 12 clips are 96 pairs
    validation_faces: int = 4000  # of labelled data, at most
    tensorboard: bool = False
    seed: int = 0
    device: str = "cpu"
    loader_processes: int = 1  # 0 makes the pairs in this process

    @property
    def pairs_per_batch(self) -> int:
        return self.clips_per_batch * self.pairs_per_clip

    def with_batch_size(self, pictures: int) -> "TrainConfig":
        """The config for batches of that many pictures, half of them fake.

        Raises SettingsError where that makes no whole clips.
        """
        clips = max(1, pictures // (2 * PAIRS_PER_CLIP))
        if pictures < 2 or pictures % (2 * clips):
            reason = (
                f"{pictures} pictures make no whole clips; take an even number, above 16 a multiple of 16"
            )
            raise SettingsError(setting="--batch-size", reason=reason)
        return replace(self, clips_per_batch=clips, pairs_per_clip=pictures // (2 * clips))

    def with_epochs(self, epochs: int, pairs: int, world: int) -> "TrainConfig":
        """The config for that many passes over `pairs` pairs, made by `world` processes."""
        per_epoch = max(1, -(-pairs // (self.pairs_per_batch * world)))
        steps = epochs * per_epoch
        return replace(
            self,
            epochs=epochs,
            steps=steps,
            validate_every=per_epoch,
            # A short run must not be over before it is warm.
            warmup_steps=min(self.warmup_steps, steps // 5),
        )


def paper(config: TrainConfig) -> TrainConfig:
    """The published protocol: dense head of 512, Adam, 20 epochs, batches of 64, 224 px, flips alone.

    The learning rate is cut to a fifth where the validation loss has not fallen by 0.001 for three epochs;
    the checkpoint of the least validation loss is kept.
    """
    return replace(
        config,
        preset="paper",
        head="paper",
        epochs=20,
        start_size=224,
        input_size=224,
        augmentation="flips",
        optimiser="adam",
        learning_rate=1e-3,
        learning_rates="plateau",
        warmup_steps=0,
        weight_decay=0.0,
        label_smoothing=0.0,
        localisation=0.0,
        ema_decay=0.0,
        keep="best",
    ).with_batch_size(64)
