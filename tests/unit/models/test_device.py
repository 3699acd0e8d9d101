from pathlib import Path

import pytest
import torch

from core.errors import SettingsError
from models.device import choose_device, cpu_has_bf16


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx2 avx512f", False), ("avx2 avx512_bf16", True), ("amx_bf16 amx_tile", True)],
)
def test_bf16_is_read_from_the_cpu(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nbugs\t\t: avx512_bf16\nflags\t\t: {flags}\n")
    assert cpu_has_bf16(cpuinfo) is expected


def test_a_system_that_does_not_tell_has_no_bf16(tmp_path: Path) -> None:
    assert not cpu_has_bf16(tmp_path / "nothing")


@pytest.mark.parametrize("available", [True, False])
def test_auto_takes_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch, available: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device("auto") == ("cuda" if available else "cpu")
    assert choose_device("cpu") == "cpu"


def test_cuda_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="FACEWARDEN_DEVICE"):
        choose_device("cuda")
