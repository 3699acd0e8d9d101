"""A worker's start does not pay for torch's compiler."""

import importlib
import subprocess
import sys

import pytest

from models import uncompiled

AFTER = """
import sys
import worker.jobs
assert "torchvision.ops.roi_align" in sys.modules, "the stand-in is for torchvision's imports"
assert not [name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))]
"""


def test_a_worker_starts_without_the_compiler() -> None:
    subprocess.run([sys.executable, "-c", AFTER], check=True)


def test_a_compiler_that_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    real = object()
    monkeypatch.setitem(sys.modules, uncompiled.PACKAGE, real)
    with uncompiled.uncompiled():
        assert sys.modules[uncompiled.PACKAGE] is real
    assert sys.modules[uncompiled.PACKAGE] is real


def test_the_stand_in_goes_even_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, uncompiled.PACKAGE, raising=False)
    monkeypatch.delitem(sys.modules, uncompiled.ASKED, raising=False)
    with pytest.raises(ImportError), uncompiled.uncompiled():
        importlib.import_module("torch._dynamo.nothing")
    assert uncompiled.PACKAGE not in sys.modules
    assert uncompiled.ASKED not in sys.modules
