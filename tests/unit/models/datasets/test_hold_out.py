"""What training left out is divided once more, without leaks, and written as a manifest that is read back."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from models.datasets.hold_out import divided, held_out, with_test_sources, write_manifest
from models.datasets.media import LabelledMedia, Split
from models.datasets.splits import discover

MOST: dict[Split, int] = {"validation": 100, "test": 100}


def medium(group: str, source: str = "a", *, fake: bool = False, split: Split = "test") -> LabelledMedia:
    path = Path(f"{source}/{group}-{fake}.png")
    return LabelledMedia(
        path=path, fake=fake, method="swap" if fake else "genuine", group=group, split=split, source=source
    )


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("xyz"), st.booleans()), unique=True))
def test_no_group_is_on_both_sides_and_nothing_of_the_training_is_in_it(
    drawn: list[tuple[str, str, bool]],
) -> None:
    media = [medium(group, source, fake=fake) for group, source, fake in drawn]
    media += [medium(f"t{n}", split="train") for n in range(3)]
    sides = defaultdict(set)
    for each in held_out(media, most=MOST):
        sides[each.split].add(each.group)
    assert not sides["validation"] & sides["test"]
    assert sides["validation"] | sides["test"] == {group for group, _, _ in drawn}


def test_each_source_and_class_gives_to_both_sides_and_at_most_so_many_groups() -> None:
    media = [
        medium(f"{source}{n}{fake}", source, fake=fake)
        for source in "ab"
        for n in range(20)
        for fake in (False, True)
    ]
    kept = held_out(media, most={"validation": 3, "test": 5})
    counted: dict[tuple[object, ...], int] = defaultdict(int)
    for each in kept:
        counted[each.source, each.fake, each.split] += 1
    assert set(counted.values()) == {3, 5}
    assert len(counted) == 8


def test_a_source_that_only_tests_calibrates_nothing() -> None:
    media = with_test_sources([medium(str(n), "films", split="train") for n in range(6)], ["film"])
    assert {each.split for each in held_out(media, most=MOST, test_sources=["film"])} == {"test"}


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(SettingsError, match=r"no source has 'FF' in its name; the sources are a, b"):
        with_test_sources([medium("1", "a"), medium("2", "b")], ["FF"])


def test_a_test_source_may_be_in_one_of_several_data_sets(tmp_path: Path) -> None:
    """As `pack` and `hold-out` take them: several `--data`, one list of sources that only test."""
    for name in ("films", "faces"):
        media = [medium(f"{name}{n}", name, fake=bool(n % 2), split="train") for n in range(8)]
        write_manifest(tmp_path / name / "manifest.jsonl", media)
    films, faces = divided([tmp_path / "films", tmp_path / "faces"], shares=(1, 0, 0), test_sources=["film"])
    assert {each.split for each in films} == {"test"}
    assert {each.split for each in faces} == {"train"}


def test_the_manifest_is_read_back_from_another_folder(tmp_path: Path) -> None:
    media = [medium("p", fake=True), medium("q")]
    placed = []
    for each in media:
        path = tmp_path / each.path
        path.parent.mkdir(exist_ok=True)
        path.touch()
        placed.append(LabelledMedia(**{**each.__dict__, "path": path, "margin": 1.3 if each.fake else None}))
    write_manifest(tmp_path / "build" / "sides.jsonl", placed)
    read = discover(tmp_path / "build" / "sides.jsonl")
    assert [(each.path.resolve(), each.fake, each.group, each.split, each.margin) for each in read] == [
        (each.path.resolve(), each.fake, each.group, each.split, each.margin) for each in placed
    ]
    assert all(each.path.is_file() for each in read)
