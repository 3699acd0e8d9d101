"""Imports of timm and torchvision without torch's compiler, which a worker does not use.

Both ask the compiler something as they are imported, for functions that are not called here; importing it for
that is a quarter of what a worker's start costs.

    with uncompiled():
        import timm
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

PACKAGE, ASKED = "torch._dynamo", "torch._dynamo.utils"


@contextmanager
def uncompiled() -> Iterator[None]:
    """A stand-in for the compiler meanwhile, which has nothing to keep off and supports no device.

    Whoever wants the compiler afterwards imports the real one; where it is imported already, it stays.
    """
    if PACKAGE in sys.modules:
        yield
        return
    package, asked = ModuleType(PACKAGE), ModuleType(ASKED)
    package.__path__ = []  # what else is asked for is not there: ImportError
    vars(package)["utils"] = asked
    vars(package)["disable"] = lambda function, *_, **__: function
    vars(asked)["is_compile_supported"] = lambda _: False
    sys.modules |= {PACKAGE: package, ASKED: asked}
    try:
        yield
    finally:
        del sys.modules[PACKAGE], sys.modules[ASKED]
