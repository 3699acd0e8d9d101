"""What a head adds on methods and people it was not fitted on, on clips whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from bench.bursts.clips import Clip
from bench.bursts.comparison import (
    BURSTS,
    BURSTS_ALONE,
    MORE,
    SCORE,
    SPREAD,
    Measured,
    Pairs,
    compare,
    fair_weights,
    interval,
    mean,
)
from bench.bursts.features import FEATURES

RESAMPLES = 200
CLUSTERS = st.lists(st.sampled_from("abcd"), min_size=1)
SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1)


def clip(name: str, *, method: str, people: str = "", trained_on: bool = False) -> Clip:
    return Clip(
        path=Path(f"{name}.mp4"),
        name=name,
        fake=method != "genuine",
        method=method,
        source="set",
        people=people or name,
        trained_on=trained_on,
        method_seen=trained_on,
    )


def clips(
    *, bursts: dict[str, float], spread: dict[str, float] | None = None, seed: int = 0
) -> list[Measured]:
    """Eight fakes of each method and 24 genuine clips, these of six people.

    Their scores say nothing. `bursts` and `spread` give by how much the changes of a method's clips lie
    above the genuine ones', whose spread is 1.
    """
    rng = np.random.default_rng(seed)
    made = []
    for method, count in [*((method, 8) for method in bursts), ("genuine", 24)]:
        for number in range(count):
            values = rng.normal(size=(2, len(FEATURES)))
            values[0, 1:] += bursts.get(method, 0.0)
            values[1, 1:] += (spread or {}).get(method, 0.0)
            people = f"person-{number % 6}" if method == "genuine" else ""
            own = clip(f"{method}-{number}", method=method, people=people)
            made.append(Measured(clip=own, score=rng.normal(), bursts=values[0], spread=values[1]))
    return made


def test_changes_that_tell_every_method_apart_add_to_the_score() -> None:
    found = compare(clips(bursts={"a": 3, "b": 3, "c": 3}), resamples=RESAMPLES)["all clips"]
    assert found["fake"] == found["genuine"] == 24
    assert found["AUC"][BURSTS] > 0.9 > found["AUC"][SCORE]
    assert all(gain["low"] > 0 for gain in found["gain"].values())
    assert found["AUC by method"].keys() == {"a", "b", "c"}


def test_changes_like_those_of_genuine_faces_add_nothing() -> None:
    found = compare(clips(bursts={"a": 0, "b": 0, "c": 0}), resamples=RESAMPLES)["all clips"]
    assert found["gain"]["bursts over the score"]["low"] <= 0


def test_what_evenly_spread_frames_show_as_well_is_no_gain_of_neighbours() -> None:
    same = {"a": 3.0, "b": 3.0, "c": 3.0}
    found = compare(clips(bursts=same, spread=same), resamples=RESAMPLES)["all clips"]
    assert found["gain"]["bursts over the score"]["low"] > 0
    assert found["gain"]["bursts over spread frames"]["low"] <= 0 <= found["AUC"][SPREAD] - 0.9


def test_a_method_is_not_judged_by_a_head_that_saw_it() -> None:
    """Two methods that differ from genuine films in opposite ways teach the wrong thing about each other."""
    found = compare(clips(bursts={"a": 4, "b": -4}), resamples=RESAMPLES)["all clips"]
    assert found["AUC"][BURSTS_ALONE] < 0.1


def test_people_are_not_judged_by_a_head_that_saw_them() -> None:
    """Each fake's people are in a genuine clip too, and in a fake of another method: both stay out."""
    known = [
        Measured(clip=own, score=0.0, bursts=np.zeros(len(FEATURES)), spread=np.zeros(len(FEATURES)))
        for own in (
            clip("a1", method="a", people="p"),
            clip("b1", method="b", people="p"),
            clip("g1", method="genuine", people="p"),
            clip("g2", method="genuine", people="q"),
        )
    ]
    found = compare(known, resamples=RESAMPLES)["all clips"]
    assert np.isnan(found["AUC"][BURSTS])  # without p there is no fake left to fit on
    assert found["AUC"][SCORE] == 0.5  # equal scores


def test_clips_that_were_trained_on_are_told_apart() -> None:
    known = [
        Measured(clip=own, score=score, bursts=np.zeros(len(FEATURES)), spread=np.zeros(len(FEATURES)))
        for own, score in (
            (clip("a1", method="a", trained_on=True), 9.0),
            (clip("b1", method="b"), -1.0),
            (clip("g1", method="genuine"), 0.0),
            (clip("g2", method="genuine", trained_on=True), -9.0),
        )
    ]
    found = compare(known, resamples=RESAMPLES)
    assert found["all clips"]["AUC"][SCORE] == pytest.approx(0.75)
    assert found["clips never trained on"]["AUC"][SCORE] == 0.0
    assert (found["clips never trained on"]["fake"], found["clips never trained on"]["genuine"]) == (1, 1)
    assert found["methods never trained on"]["AUC by method"].keys() == {"b"}


def test_more_frames_are_averaged_with_the_score() -> None:
    spread = np.zeros(len(FEATURES))
    known = [
        Measured(clip=own, score=score, bursts=spread, spread=np.where(np.arange(len(FEATURES)), 0, more))
        for own, score, more in (
            (clip("a1", method="a"), 0.0, 4.0),
            (clip("g1", method="genuine"), 1.0, 0.0),
        )
    ]
    found = compare(known, resamples=RESAMPLES)["all clips"]
    assert (found["AUC"][SCORE], found["AUC"][MORE]) == (0.0, 1.0)


@given(CLUSTERS, CLUSTERS)
def test_classes_and_the_clusters_within_them_weigh_the_same(fakes: list[str], genuine: list[str]) -> None:
    fake = np.array([True] * len(fakes) + [False] * len(genuine))
    cluster = np.array(fakes + genuine)
    weights = fair_weights(fake, cluster)
    for own in (fake, ~fake):
        assert weights[own].sum() == pytest.approx(len(fake) / 2)
        sums = [weights[own & (cluster == name)].sum() for name in np.unique(cluster[own])]
        assert sums == pytest.approx([sums[0]] * len(sums))


@given(SCORES, SCORES)
def test_the_part_of_won_pairs_is_the_auc(fakes: list[float], genuine: list[float]) -> None:
    scores = np.array(fakes + genuine)
    fake = np.array([True] * len(fakes) + [False] * len(genuine))
    pairs = Pairs([clip(f"{n}", method="a" if one else "genuine") for n, one in enumerate(fake)])
    every = pairs.sets()["all clips"]
    assert mean(pairs.wins(scores), every) == pytest.approx(roc_auc_score(fake, scores))


def test_an_interval_draws_clusters_not_clips() -> None:
    rng = np.random.default_rng(0)
    by_method = np.repeat(rng.normal(size=4), 25)[:, None] * np.ones((100, 50))
    chosen = np.ones(by_method.shape, bool)
    columns = np.repeat("all", 50)
    clustered = interval(by_method, np.repeat(list("abcd"), 25), columns, chosen, resamples=500)
    alone = interval(by_method, np.arange(100).astype(str), columns, chosen, resamples=500)
    assert clustered.value == pytest.approx(by_method.mean()) == alone.value
    assert clustered.low < alone.low < alone.high < clustered.high


def test_pairs_without_a_value_or_outside_the_set_do_not_count() -> None:
    values = np.array([[1.0, np.nan], [5.0, 3.0]])
    chosen = np.array([[True, True], [False, True]])
    rows, columns = np.array(["a", "b"]), np.array(["p", "q"])
    assert mean(values, chosen) == 2.0
    found = interval(values, rows, columns, chosen, resamples=300)
    assert (found.value, found.low, found.high) == (2.0, 1.0, 3.0)
    assert np.isnan(interval(values, rows, columns, np.zeros((2, 2), bool), resamples=10).low)
