"""The error tree: messages for users, codes for SQL."""

import pytest

from core import errors
from core.errors import FacewardenError, InputError, NotMedia, PermanentError, RetryableError, printable

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FacewardenError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_and_a_message_of_its_own(kind: type[FacewardenError]) -> None:
    assert kind.__doc__
    assert "code" in vars(kind)
    assert sum(other.code == kind.code for other in KINDS) == 1


def test_every_leaf_is_permanent_or_retryable() -> None:
    for kind in KINDS:
        assert kind is FacewardenError or issubclass(kind, PermanentError) != issubclass(kind, RetryableError)


def test_a_message_names_the_input_and_the_remedy() -> None:
    message = str(NotMedia(name="notes.mp4", reason="it is text"))
    assert message.startswith("notes.mp4: ")
    assert "Supported: MP4" in message


def test_a_hostile_name_stays_on_one_line() -> None:
    message = str(InputError(name="a\nb\x1b[31m😀.mp4", reason="x"))
    assert "\n" not in message
    assert "\x1b" not in message
    assert "😀" in message


def test_printable_escapes_what_is_no_text() -> None:
    assert printable("a\udcffb") == "a\\udcffb"
