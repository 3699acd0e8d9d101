"""The pauses between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from core.settings import WebhookSettings
from webhooks.courier import pause


def test_pauses_grow_to_the_longest_and_end() -> None:
    settings = WebhookSettings()
    pauses = [pause(failures, settings, luck=0.5) for failures in range(1, 13)]
    assert pauses == [5, 15, 45, 135, 405, 1215, 3645, 10935, 21600, 21600, 21600, None]


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_luck_moves_a_pause_by_a_quarter(failures: int, luck: float) -> None:
    settings = WebhookSettings(attempts=2 * 10**6)
    usual, lucky = pause(failures, settings, luck=0.5), pause(failures, settings, luck=luck)
    assert usual is not None
    assert lucky is not None
    assert 0.749 * usual <= lucky <= 1.251 * usual
