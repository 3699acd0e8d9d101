"""The probe on a small pack, from its command to its table."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.probe.__main__ import main
from core.errors import SettingsError
from models.architectures import build
from models.training.gpu.pack import joined, write_pack
from tests import face_pack


@pytest.fixture(name="words")
def _words(tmp_path: Path) -> list[str]:
    write_pack(tmp_path / "pack.safetensors", joined([face_pack.make(8), face_pack.make(8, corpus="films")]))
    torch.manual_seed(0)
    save_file(build("smallcnn").state_dict(), tmp_path / "start.safetensors")
    files = [str(tmp_path / name) for name in ("pack.safetensors", "start.safetensors", "probe.json")]
    return [files[0], "--weights", files[1], "--out", files[2], "--arch", "smallcnn", "--input-size", "32"]


def test_each_layer_is_ranked_and_written(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*words, "--layer", "features.0", "--layer", "features.3", "--seeds", "2"])
    report = json.loads((tmp_path / "probe.json").read_text())
    assert report["faces"] == 32
    assert [row["layer"] for row in report["rows"]] == ["features.0", "features.3"]
    for row in report["rows"]:
        assert len(row["splits"]) == 2
        assert set(row["auc"]) == {"all", "lipsync"}
        assert all(0 <= value <= 1 for value in row["auc"].values())
    assert "sources left out" in capsys.readouterr().out


def test_an_unknown_layer_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="smallcnn has no layer 'block2'; it has features"):
        main([*words, "--layer", "block2"])


def test_a_corpus_that_is_not_there_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="--corpus: 'dfdc' has not both"):
        main([*words, "--corpus", "dfdc"])
