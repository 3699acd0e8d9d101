"""Requests drawn from the OpenAPI document, sensible ones and others: none makes the service stumble."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from core.roles import Role
from tests.integration.review.api.site import Site, copy

EXAMPLES = 6  # per operation and kind of request; a few hundred requests in all
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def drawn_on(shared: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation on which anything may be done."""
    site = copy(shared, tmp_path_factory.mktemp("drawn"))
    yield site
    site.engine.dispose()


@pytest.fixture(scope="module")
def admin(drawn_on: Site) -> Callable[[], dict[str, str]]:
    """The headers of an administrator whom no drawn request has shut out yet."""
    numbers = count()

    def headers() -> dict[str, str]:
        name = f"admin-{next(numbers)}"
        drawn_on.account(name, Role.ADMIN)
        return {"Authorization": f"Bearer {drawn_on.tokens[name]}"}

    return headers


def test_no_drawn_request_makes_the_service_stumble(
    drawn_on: Site, admin: Callable[[], dict[str, str]], subtests: pytest.Subtests
) -> None:
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", drawn_on.app, headers=admin())
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:
        for mode in GenerationMode:

            @given(operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,  # the same requests in each run: a failure is the change's fault
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                # On the case itself: the checks have to see the request as it is sent, or they take a missing
                # Authorization for what should have been refused.
                case.headers.update(admin())
                case.validate_response(case.call(), checks=CHECKS)

            with subtests.test(operation=operation.label, mode=mode.value):
                ask()
