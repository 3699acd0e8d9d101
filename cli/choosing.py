"""`--where NAME=VALUE`: the filters of the reviewers' queue, for commands that work through many videos."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from storage.queue.filters import Filters

UNLIKE = frozenset({"sort", "ascending"})  # of a list, and no filters

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only those with NAME=VALUE, the filters of the API: verdict=clear, since=2026-01-31, source=…,"
        " score_min=0.4, decision_state=open, model_version=…; all must match.",
    ),
]


def filters_of(given: Sequence[str] | None) -> Filters:
    """Raises typer.BadParameter for what is no filter."""
    from pydantic import ValidationError

    from review.filters import SEVERAL, FilterParams

    values: dict[str, Any] = defaultdict(list)
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or name not in FilterParams.model_fields or name in UNLIKE:
            named = ", ".join(sorted(FilterParams.model_fields.keys() - UNLIKE))
            raise typer.BadParameter(f"--where {each}: give NAME=VALUE with one of {named}")
        if values[name] and name not in SEVERAL:
            raise typer.BadParameter(f"--where {name} is given more than once, and takes one value")
        values[name].append(value)
    plain = {name: value if name in SEVERAL else value[0] for name, value in values.items()}
    try:
        return FilterParams.model_validate(plain).to_filters()
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"--where {first['loc'][0]}: {first['msg']}") from error
