"""The commands behind a checkpoint: what a reader would have to type to get it again."""

from evaluation.report.lineage import train_command, train_commands


def test_the_command_is_the_one_that_makes_such_a_config() -> None:
    config = {"architecture": "xception", "steps": 1700, "seed": 1, "init": "backbone.safetensors"}
    config["localisation"] = 1.0
    assert train_command(config).replace(" \\\n    ", " ") == (
        'facewarden train --data "$FACEWARDEN_DATA" --out build/train --steps 1700 --seed 1 '
        '--init "$FACEWARDEN_DATA/weights/backbone.safetensors"'
    )
    config = {
        "architecture": "resnet50",
        "preset": "paper",
        "epochs": 3,
        "steps": 99,
        "optimiser": "adam",
        "learning_rate": 0.001,
        "precision": "auto",
        "localisation": 0.0,
        "kinds": ["swap", "eyes"],
        "compile": True,
        "generators": ["faces"],
        "sizes": [[0.0, 112], [0.5, 224]],
        "seed": 0,
    }
    assert train_command(config).replace(" \\\n    ", " ") == (
        'facewarden train --data "$FACEWARDEN_DATA" --out build/train --arch resnet50 --preset paper '
        "--epochs 3 --localisation 0.0 --optimiser adam --learning-rate 0.001 --sizes 112,224@0.5 "
        "--kind swap --kind eyes --generator faces --compile"
    )


def test_runs_that_start_from_each_other_follow_each_other() -> None:
    first = {
        "config": {"steps": 2800, "init": "backbone.safetensors", "localisation": 1.0},
        "plans": [[0, 3000], [1200, 2800]],
    }
    last = {
        "config": {"steps": 44, "init": "xception.safetensors", "localisation": 1.0},
        "started_from": {"id": "xception-of-before", **first},
    }
    stopped, resumed, further = (command.replace(" \\\n    ", " ") for command in train_commands(last))
    assert "--out build/train --steps 3000 --stop-at 1200" in stopped
    assert "--out build/train --steps 2800" in resumed
    assert resumed.endswith('--init "$FACEWARDEN_DATA/weights/backbone.safetensors"')
    assert "--out build/train-2 --steps 44" in further
    assert further.endswith("--init build/train/xception.safetensors")


def test_the_renderers_are_made_before_the_run_that_uses_them() -> None:
    config = {"steps": 44, "localisation": 1.0, "init": "xception.safetensors"}
    run = {"config": config, "renderers": {"sha256": "ab", "steps": 9, "seed": 3}}
    renderers, first = train_commands(run)
    assert renderers.replace(" \\\n    ", " ") == (
        'facewarden train-renderers --data "$FACEWARDEN_DATA" --out models/weights/renderers.safetensors '
        "--steps 9 --seed 3"
    )
    assert "--steps 44" in first
    assert len(train_commands({**run, "started_from": run})) == 3  # once for both runs


def test_a_run_on_a_gpu_knows_its_commands_itself() -> None:
    commands = ["facewarden pack --data films", "python -m models.training.gpu films.safetensors"]
    before = {"config": {"steps": 44, "localisation": 1.0}}
    run = {"config": {"steps": 9}, "commands": commands, "started_from": before}
    first, *last = train_commands(run)
    assert "facewarden train" in first
    assert last == commands


def test_a_run_whose_commands_are_on_record_is_told_by_them() -> None:
    command = 'facewarden train --data "$FACEWARDEN_DATA" --init "$FACEWARDEN_DATA"/weights/start.safetensors'
    command += " --label 'two words' --batch-size 48 --split 70/20/10 --frames 5 --steps 2000 --seed 3"
    run = {"config": {"steps": 2000, "preset": "default"}, "commands": [command]}
    (shown,) = train_commands(run)
    assert shown.replace(" \\\n    ", " ") == command
    assert max(map(len, shown.splitlines())) <= 100


def test_without_a_record_there_is_no_command() -> None:
    assert train_commands({}) == []
