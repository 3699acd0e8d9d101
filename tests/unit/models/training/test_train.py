"""Training: the same seed gives the same losses; a stopped run goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import SettingsError, WeightsError
from core.model_version import read_model_version
from evaluation.report.lineage import train_commands
from models.checkpoint import load_checkpoint
from models.datasets.faces import load_faces, split
from models.synthesis.renderers import renderer_record
from models.training.config import TrainConfig, paper
from models.training.init import first_network
from models.training.schedule import learning_rate, picture_size, schedule
from models.training.train import train
from tests import face_folder, short_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the corpus: forty pictures of one face in changing light, as forty persons."""
    return face_folder.make(tmp_path_factory.mktemp("data"), faces=40)


@pytest.fixture(autouse=True)
def unplotted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of so short a run would be drawing its plots: only the test of them does."""
    if request.function is not test_a_run_leaves_its_plots:
        monkeypatch.setattr("models.training.train.plot_history", lambda _out, _history: None)


def config(data: Path, out: Path, **changes: object) -> TrainConfig:
    run = {"steps": 4, "input_size": 64, "validate_every": 4, "checkpoint_every": 2}
    return short_run.config(data, out, **run | changes)


def losses(out: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((out / "history.json").read_text())]


def test_a_run_gives_a_checkpoint_that_says_how_it_came_about(data: Path, tmp_path: Path) -> None:
    path = train(config(data, tmp_path))
    network, version = load_checkpoint(path)
    assert version.input_size == 64
    assert version.training["pictures"] == 4 * 2 * 2
    assert "auc_held_out_kinds" in version.training["validation"]
    assert str(tmp_path) not in json.dumps(version.training)
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 1)


def test_the_record_names_the_renderers_whose_faces_were_trained_on(data: Path, tmp_path: Path) -> None:
    without, with_them = (
        read_model_version(train(config(data, tmp_path / kind, kinds=(kind,), steps=1))).training["renderers"]
        for kind in ("swap", "decode")
    )
    assert (without, with_them) == ({}, renderer_record())


def test_the_same_seed_gives_the_same_losses(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path / "a"))
    train(config(data, tmp_path / "b"))
    train(config(data, tmp_path / "c", seed=1))
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def stop_at(step: int) -> Callable[[dict[str, float], int], None]:
    def stop(entry: dict[str, float], _steps: int) -> None:
        if entry["step"] == step:
            raise KeyboardInterrupt

    return stop


VARIANTS: dict[str, dict[str, object]] = {
    "default": {},
    "sam": {"optimiser": "sam"},
    # its dropout draws random numbers at each step
    "published head": {
        "head": "paper",
        "optimiser": "adam",
        "learning_rates": "plateau",
        "ema_decay": 0.0,
        "keep": "best",
        "validate_every": 1,
    },
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stopped_run_goes_on_to_the_same_end(data: Path, tmp_path: Path, variant: str) -> None:
    changes = VARIANTS[variant]
    whole = train(config(data, tmp_path / "whole", **changes))
    with pytest.raises(KeyboardInterrupt):
        train(config(data, tmp_path / "stopped", **changes), on_step=stop_at(2))
    assert torch.load(tmp_path / "stopped" / "state.pt")["step"] == 2
    resumed = train(config(data, tmp_path / "stopped", **changes))
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
    ours, theirs = load_checkpoint(resumed)[0].state_dict(), load_checkpoint(whole)[0].state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_may_stop_and_aim_at_another_end(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path, steps=6, stop_at=2, checkpoint_every=25))
    assert len(losses(tmp_path)) == 2
    path = train(config(data, tmp_path, steps=3))
    assert len(losses(tmp_path)) == 3
    commands = train_commands(read_model_version(path).training)
    assert ["--steps 6 --stop-at 2" in commands[0], "--steps 3" in commands[1]] == [True, True]
    assert "--stop-at" not in commands[1]


def test_a_run_is_on_record_by_the_commands_that_asked_for_it(data: Path, tmp_path: Path) -> None:
    first, last = "facewarden train --steps 6 --stop-at 2 --batch-size 4", "facewarden train --steps 3"
    stopped = {"steps": 6, "stop_at": 2, "command": first}
    train(config(data, tmp_path / "out", **stopped))
    train(config(data, tmp_path / "out", **stopped))  # once more: it has nothing to do
    record = read_model_version(train(config(data, tmp_path / "out", steps=3, command=last))).training
    assert record["commands"] == [first, last]
    assert train_commands(record) == [first, last]
    assert "command" not in record["config"]


def test_of_a_run_that_no_command_began_the_record_makes_one(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path, steps=6, stop_at=2))
    path = train(config(data, tmp_path, steps=3, command="facewarden train --steps 3"))
    record = read_model_version(path).training
    assert record["commands"] == []
    assert "--steps 6 --stop-at 2" in train_commands(record)[0]
    assert "--batch-size 4" in train_commands(record)[0]


def test_a_run_that_starts_from_a_checkpoint_carries_its_record(data: Path, tmp_path: Path) -> None:
    first = train(config(data, tmp_path / "first", steps=2, validate_every=2))
    second = train(config(data, tmp_path / "second", steps=1, validate_every=1, init=first))
    record = read_model_version(second).training["started_from"]
    assert record["id"] == read_model_version(first).id
    assert record["pictures"] == 2 * 2 * 2
    assert len(train_commands(read_model_version(second).training)) == 2
    assert read_model_version(first).training["started_from"] == {}


def test_what_points_at_the_forgery_stays_behind(data: Path, tmp_path: Path) -> None:
    with_it = train(config(data, tmp_path / "with"))
    without = train(config(data, tmp_path / "without", localisation=0.0))
    assert set(load_file(with_it)) == set(load_file(without))
    history = json.loads((tmp_path / "with" / "history.json").read_text())
    assert history[0]["localisation_loss"] > 0
    assert "localisation_loss" not in json.loads((tmp_path / "without" / "history.json").read_text())[0]


def test_the_published_head_comes_back_with_its_checkpoint(data: Path, tmp_path: Path) -> None:
    path = train(config(data, tmp_path, head="paper", steps=1, validate_every=1))
    network, version = load_checkpoint(path)
    assert version.head == "paper"
    with torch.inference_mode():
        pictures = torch.randn(3, 3, 64, 64)
        logits = network(pictures)
        features = network.features(pictures).mean(dim=(2, 3))
        hidden = torch.relu(network.head.norm(network.head.dense(features)))
        softmax = network.head.classes(hidden).softmax(dim=1)[:, 1]
    assert logits.shape == (3, 1)
    assert torch.allclose(logits.sigmoid().squeeze(1), softmax, atol=1e-6)


def test_a_folder_of_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path, steps=2))
    with pytest.raises(SettingsError, match="another network"):
        train(config(data, tmp_path, head="paper"))


def test_weights_of_another_network_are_refused(data: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({"conv1.weight": torch.zeros(3)}, wrong)
    for path in (wrong, tmp_path / "missing.safetensors"):
        with pytest.raises(WeightsError, match=path.name):
            train(config(data, tmp_path / "out", init=path))


def test_a_run_begins_with_the_weights_it_is_given(data: Path, tmp_path: Path) -> None:
    first = train(config(data, tmp_path / "first", steps=1, validate_every=1))
    begun = first_network(config(data, tmp_path, init=first)).state_dict()
    assert all(torch.equal(begun[name].half(), tensor) for name, tensor in load_file(first).items())
    # the classifier of another head is left out
    assert first_network(config(data, tmp_path, init=first, head="paper")) is not None


def test_epochs_are_passes_over_the_faces(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path, epochs=2, limit=16))
    history = json.loads((tmp_path / "history.json").read_text())
    per_epoch = len(history) // 2
    assert 16 * 0.6 / 2 < per_epoch <= 8  # of 16 faces some are held out; two make a batch
    assert len(history) == 2 * per_epoch
    validated = [entry["step"] for entry in history if "validation_loss" in entry]
    assert validated == [per_epoch - 1, 2 * per_epoch - 1]


def test_a_run_leaves_its_plots(data: Path, tmp_path: Path) -> None:
    train(config(data, tmp_path, steps=2, validate_every=2))
    for name in ("loss.png", "accuracy.png"):
        picture = cv2.imread(str(tmp_path / name))
        assert picture is not None
        assert picture.std() > 5  # something is drawn


def test_the_published_protocol(data: Path, tmp_path: Path) -> None:
    plan = paper(config(data, tmp_path))
    assert (plan.epochs, plan.pairs_per_batch * 2, plan.input_size) == (20, 64, 224)
    assert (plan.head, plan.optimiser, plan.augmentation, plan.keep) == ("paper", "adam", "flips", "best")
    assert {schedule(plan, step).size for step in range(plan.steps)} == {224}


@pytest.mark.parametrize(("pictures", "clips", "pairs"), [(2, 1, 1), (12, 1, 6), (16, 1, 8), (64, 4, 8)])
def test_a_batch_is_made_of_whole_clips(data: Path, pictures: int, clips: int, pairs: int) -> None:
    plan = config(data, data).with_batch_size(pictures)
    assert (plan.clips_per_batch, plan.pairs_per_clip) == (clips, pairs)
    assert plan.pairs_per_batch * 2 == pictures


@pytest.mark.parametrize("pictures", [0, 3, 34])
def test_a_batch_that_makes_no_whole_clips_is_refused(data: Path, pictures: int) -> None:
    with pytest.raises(SettingsError, match="whole clips"):
        config(data, data).with_batch_size(pictures)


def test_pictures_grow_in_as_many_steps_as_wanted(data: Path) -> None:
    plan = config(data, data, sizes=((0.0, 112), (0.5, 224), (0.8, 299)))
    assert [picture_size(plan, part) for part in (0, 0.49, 0.5, 0.79, 0.8, 0.99)] == [
        112, 112, 224, 224, 299, 299,
    ]  # fmt: skip


def test_persons_are_on_one_side_of_the_split(data: Path) -> None:
    records = load_faces(data)
    trained, held = split(records, "train"), split(records, "held_out")
    assert len(trained) + len(held) == len(records)
    assert not {record.group for record in trained} & {record.group for record in held}


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"faces\.jsonl"):
        load_faces(tmp_path)


def test_it_grows_harder_and_slower(data: Path, tmp_path: Path) -> None:
    plan = config(data, tmp_path, steps=100, warmup_steps=10)
    steps = [schedule(plan, step) for step in range(100)]
    assert [step.difficulty for step in steps] == sorted(step.difficulty for step in steps)
    assert (steps[0].size, steps[-1].size) == (48, 64)
    rates = [learning_rate(plan, step) for step in range(100)]
    assert rates[0] < rates[9] == max(rates)
    assert rates[-1] < 0.02 * max(rates)


def test_the_version_of_a_checkpoint_is_read_without_loading_it(data: Path, tmp_path: Path) -> None:
    path = train(config(data, tmp_path, steps=1, validate_every=1))
    assert read_model_version(path).id == load_checkpoint(path)[1].id
