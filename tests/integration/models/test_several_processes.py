"""Two processes that train together do what one does with batches of twice the size."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from skimage.data import astronaut

from models.checkpoint import load_checkpoint
from models.mean_face import MEAN_LANDMARKS
from models.training.config import TrainConfig
from models.training.train import train

STEPS = 4

SCRIPT = """
import os, sys
from pathlib import Path
from models.training.config import TrainConfig
from models.training.train import train

data, out = Path(sys.argv[1]), Path(sys.argv[2])
train(TrainConfig(data=data, out=out, clips_per_batch=1, **eval(sys.argv[3])))
(out / f"rank-{os.environ['RANK']}").touch()
"""

COMMON = {
    "architecture": "smallcnn",
    "steps": STEPS,
    "pairs_per_clip": 2,
    "start_size": 32,
    "input_size": 32,
    "warmup_steps": 1,
    "learning_rate": 1e-3,
    "validate_every": 2,
    "validation_clips": 1,
    "checkpoint_every": 2,
    "loader_processes": 0,
}


def write_faces(folder: Path) -> Path:
    (folder / "faces").mkdir(parents=True)
    crop = np.ascontiguousarray(astronaut()[0:224, 110:334, ::-1])
    landmarks = (MEAN_LANDMARKS * 52 + np.array([112, 90])).tolist()
    with (folder / "faces.jsonl").open("w") as lines:
        for number in range(30):
            name = f"face_{number}.jpg"
            cv2.imwrite(str(folder / "faces" / name), cv2.convertScaleAbs(crop, alpha=0.6 + number / 60))
            row = {"file": name, "box": [40, 30, 184, 210], "landmarks": landmarks}
            lines.write(json.dumps(row) + "\n")
    return folder


def run_to_its_end(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Nothing is left of it where the test is ended before: torchrun gives its processes own sessions."""
    root = Path(__file__).parents[3]
    run = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = run.communicate()
    finally:
        if run.poll() is None:
            for process in [*psutil.Process(run.pid).children(recursive=True), run]:
                process.kill()
            run.wait()
    return subprocess.CompletedProcess(command, run.returncode, output, errors)


def test_gradients_are_averaged_and_one_process_writes(tmp_path: Path) -> None:
    data = write_faces(tmp_path / "data")
    alone = train(TrainConfig(data=data, out=tmp_path / "alone", clips_per_batch=2, **COMMON))  # type: ignore[arg-type]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    together = tmp_path / "together"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = run_to_its_end([*command, str(script), str(data), str(together), repr(COMMON)])
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name for path in together.glob("rank-*")} == {"rank-0", "rank-1"}
    histories = [json.loads((out / "history.json").read_text()) for out in (tmp_path / "alone", together)]
    assert len(histories[1]) == STEPS
    for ours, theirs in zip(*histories, strict=True):
        assert abs(ours["loss"] - theirs["loss"]) < 2e-5
    shared, own = load_checkpoint(together / "smallcnn.safetensors"), load_checkpoint(alone)
    assert shared[1].training["pictures"] == own[1].training["pictures"]
    for name, tensor in own[0].state_dict().items():
        assert torch.allclose(shared[0].state_dict()[name], tensor, atol=2e-4), name
    logged = done.stderr + done.stdout
    assert logged.count("exported") == 1
