"""The first layers of a network, which a run may leave as they are.

They work on the largest maps and learn the least anew: on a CPU a step without them takes not much more than
half the time.
"""

from torch import nn

from core.errors import SettingsError


def first_layers(network: nn.Module, last: str) -> list[nn.Module]:
    """The layers up to and including the module `last`, in the order in which the network lists them.

    Raises SettingsError if there is no such module.
    """
    found: list[nn.Module] = []
    level = network
    for name in last.split("."):
        children = dict(level.named_children())
        if name not in children:
            reason = f"no layer {last!r}: {name!r} is not one of [{', '.join(children)}]"
            raise SettingsError(setting="--frozen", reason=reason)
        for other, module in children.items():
            if other == name:
                break
            found.append(module)
        level = children[name]
    return [*found, level]
