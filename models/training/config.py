"""What a training run is asked to do. `facewarden train` takes its options and their defaults from here.

Imports nothing heavy, so that the command line's help is instant.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, get_origin, get_type_hints

from core.errors import SettingsError
from core.model_version import UNTRAINED_LABEL, Head
from models.datasets.defaults import PAIRS_PER_CLIP, SHARES, Augmentation

Optimiser = Literal["adamw", "adam", "sam"]
LearningRates = Literal["cosine", "plateau"]
Precision = Literal["auto", "fp32", "bf16"]
Preset = Literal["default", "paper"]


@dataclass(frozen=True)
class Option:
    """How `facewarden train` offers a field of the config; its type and its default are the field's."""

    name: str
    help: str
    min: float | None = None
    max: float | None = None


def _trained_kinds() -> tuple[str, ...]:
    from models.synthesis.kinds import TRAINED_KINDS  # noqa: PLC0415  it draws pictures

    return TRAINED_KINDS


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The default preset."""

    data: Path  # folder of genuine faces and videos (models.datasets.faces), or a data set (….splits)
    out: Path  # folder of state, history and result
    command: str = ""  # that started it, as others would type it; "" if none did
    architecture: Annotated[str, Option("--arch", "Name of an architecture.")] = "xception"
    head: Head = "default"
    preset: Annotated[Preset, Option("--preset", "paper: the published protocol.")] = "default"
    epochs: Annotated[
        int | None, Option("--epochs", "Passes over the training faces; instead of --steps.", min=1)
    ] = None  # sets `steps`
    steps: Annotated[int, Option("--steps", "Batches, unless the preset counts epochs.", min=1)] = 650
    stop_at: Annotated[
        int | None,
        Option("--stop-at", "Step to stop at, to be resumed later, maybe with other --steps.", min=1),
    ] = None
    clips_per_batch: int = 2  # a clip is 8 pairs: 2 make batches of 32 pictures
    pairs_per_clip: int = PAIRS_PER_CLIP
    limit: Annotated[int | None, Option("--limit", "Faces or media used, for trials.", min=1)] = None
    init: Annotated[Path | None, Option("--init", "Backbone weights (safetensors) to start from.")] = None
    pretrained: Annotated[bool, Option("--pretrained", "Start from ImageNet weights of timm's hub.")] = False
    generators: Annotated[
        tuple[Path, ...],
        Option("--generator", "A generator's pictures to mix in (real/, fake/ or a manifest); repeat it."),
    ] = ()
    pseudo_share: Annotated[
        float | None,
        Option(
            "--pseudo-fakes",
            "Fraction of the batches made of pseudo-fakes; 0 for labelled data.",
            min=0,
            max=1,
        ),
    ] = None  # None: all of genuine data, none of labelled data
    kinds: Annotated[tuple[str, ...], Option("--kind", "Kinds of pseudo-fakes; repeat it.")] = field(
        default_factory=_trained_kinds
    )
    shares: Annotated[
        tuple[float, float, float],
        Option("--split", "Split of labelled data without an official one: train, validation, test."),
    ] = SHARES
    frames_per_video: Annotated[int, Option("--frames", "Frames per labelled video.", min=1)] = 16
    start_size: int = 112  # pixels, first part of the run
    input_size: int = 128  # pixels, last part of the run and from then on
    grow_at: float = 0.7  # fraction of the run after which pictures have the final size
    sizes: Annotated[
        tuple[tuple[float, int], ...],
        Option("--sizes", "Growing input sizes in pixels: 112,224@0.5,299@0.8."),
    ] = ()  # (fraction of the run to start at, pixels): instead of the three before
    easy_until: Annotated[
        float, Option("--easy-until", "Fraction of the run over which forgeries grow hard.", min=0.01, max=1)
    ] = 0.6
    final_difficulty: float = 0.7
    final_strength: Annotated[
        float, Option("--strength", "How much pictures are degraded in the end: 0 is mild.", min=0, max=1)
    ] = 0.8
    augmentation: Augmentation = "world"
    localisation: Annotated[
        float, Option("--localisation", "Weight of the loss for where the forgery is; 0 for none.", min=0)
    ] = 1.0
    optimiser: Annotated[Optimiser, Option("--optimiser", "sam: sharpness-aware.")] = "adamw"
    sam_radius: float = 0.05  # rho of sharpness-aware minimisation
    learning_rate: Annotated[float, Option("--learning-rate", "Highest learning rate.", min=1e-8, max=1)] = (
        3e-4
    )
    learning_rates: LearningRates = "cosine"
    warmup_steps: int = 40
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    ema_decay: float = 0.995  # fast: runs are short; 0 for no average
    keep: Literal["last", "best"] = "last"  # best: by validation loss
    precision: Annotated[Precision, Option("--precision", "auto: bf16 on CUDA, fp32 on a CPU.")] = "auto"
    compile: Annotated[bool, Option("--compile", "Use torch.compile.")] = False
    margin: float = 1.3  # of the crops
    validate_every: int = 100
    checkpoint_every: int = 25  # 0 for never: then nothing can be resumed
    validation_clips: int = 12  # per side: 12 clips are 96 pairs
    validation_faces: int = 4000  # of labelled data, at most
    device: str = "cpu"
    loader_processes: Annotated[
        int, Option("--loaders", "Processes that make the batches.", min=0, max=64)
    ] = 1  # 0 makes the pairs in this process
    tensorboard: Annotated[bool, Option("--tensorboard", "Also write TensorBoard events.")] = False
    label: Annotated[str, Option("--label", "Name of the checkpoint.")] = UNTRAINED_LABEL
    seed: Annotated[int, Option("--seed", "Random seed.", min=0)] = 0

    @property
    def pairs_per_batch(self) -> int:
        return self.clips_per_batch * self.pairs_per_clip

    def with_batch_size(self, pictures: int) -> "TrainConfig":
        """The config for batches of that many pictures, half of them fake.

        Raises SettingsError if they do not make whole clips.
        """
        clips = max(1, pictures // (2 * PAIRS_PER_CLIP))
        if pictures < 2 or pictures % (2 * clips):
            reason = (
                f"{pictures} pictures do not make whole clips; use an even number, above 16 a multiple of 16"
            )
            raise SettingsError(setting="--batch-size", reason=reason)
        return replace(self, clips_per_batch=clips, pairs_per_clip=pictures // (2 * clips))

    def with_epochs(self, epochs: int, pairs: int, processes: int) -> "TrainConfig":
        """The config for that many passes over `pairs` pairs, made by `processes` processes."""
        per_epoch = max(1, -(-pairs // (self.pairs_per_batch * processes)))
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

    The learning rate is cut to a fifth if the validation loss has not fallen by 0.001 for three epochs; the
    checkpoint with the lowest validation loss is kept.
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


OPTIONS: dict[str, Option] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(TrainConfig, include_extras=True).items()
    if get_origin(hint) is Annotated
}
DEFAULTS = TrainConfig(data=Path(), out=Path(), kinds=())  # `kinds` apart, which are those of pseudofakes
