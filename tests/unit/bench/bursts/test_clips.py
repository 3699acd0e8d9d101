"""Which clips are compared, whose they are, and which of them the checkpoint learned from."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bursts.clips import FILMS, list_clips, same_people
from core.errors import SettingsError


def data(folder: Path) -> Path:
    """Two swaps of one method, one picture of another method's, an original and a film."""
    rows = [
        ("videos/a.mp4", "fake", "swapper", "01_02"),
        ("videos/b.mp4", "fake", "swapper", "05_06"),
        ("videos/c.mp4", "fake", "talker", "owner/talker:out/c.mp4"),
        ("faces/c.jpg", "fake", "talker", "owner/talker:out/other.mp4"),
        ("videos/d.mp4", "genuine", "genuine", "02"),
    ]
    (folder / "manipulated").mkdir()
    with (folder / "manipulated" / "manipulated.jsonl").open("w") as lines:
        for path, label, method, group in rows:
            row = {"path": path, "label": label, "method": method, "group": group, "source": "set"}
            lines.write(json.dumps(row) + "\n")
            file = folder / "manipulated" / path
            file.parent.mkdir(exist_ok=True)
            file.touch()
    (folder / "videos").mkdir()
    (folder / "videos" / "film.mp4").touch()
    return folder


def held_out(folder: Path, *paths: str) -> Path:
    manifest = folder / "sides.jsonl"
    rows = [{"path": path, "label": "fake", "method": "any", "group": path} for path in paths]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def test_every_video_is_listed_and_no_picture(tmp_path: Path) -> None:
    clips = list_clips(data(tmp_path), held_out(tmp_path, "videos/film.mp4"))
    assert [clip.name for clip in clips] == ["a", "b", "c", "d", "film"]
    assert [clip.fake for clip in clips] == [True, True, True, False, False]
    assert clips[-1].source == FILMS


def test_what_the_manifest_does_not_list_counts_as_trained_on(tmp_path: Path) -> None:
    manifest = held_out(tmp_path, "manipulated/videos/a.mp4", "videos/film.mp4")
    clips = {clip.name: clip for clip in list_clips(data(tmp_path), manifest)}
    assert [name for name, clip in clips.items() if not clip.trained_on] == ["a", "film"]


def test_a_method_was_seen_if_any_medium_of_it_was_trained_on(tmp_path: Path) -> None:
    listed = ("manipulated/videos/a.mp4", "manipulated/videos/b.mp4", "manipulated/videos/c.mp4")
    clips = {clip.name: clip for clip in list_clips(data(tmp_path), held_out(tmp_path, *listed))}
    assert not clips["a"].method_seen
    assert clips["c"].method_seen  # a picture of another group


def test_a_manifest_of_other_videos_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.mp4").touch()
    with pytest.raises(SettingsError, match=r"none of the videos .*sides\.jsonl"):
        list_clips(data(tmp_path), held_out(tmp_path, "elsewhere.mp4"))


def test_swaps_join_the_people_in_them() -> None:
    people = same_people(["01_02", "02_03", "03", "04", "01__talking", "01__walking"])
    assert people["01_02"] == people["02_03"] == people["03"]
    assert people["01__talking"] == people["01__walking"]
    assert len({people["01_02"], people["04"], people["01__talking"]}) == 3  # actors have their own numbers


def test_examples_in_one_folder_of_a_project_may_show_one_person() -> None:
    people = same_people(["own/er:data/a/1.mp4", "own/er:data/a/2.mp4", "own/er:data/b/1.mp4", "film"])
    assert people["own/er:data/a/1.mp4"] == people["own/er:data/a/2.mp4"] != people["own/er:data/b/1.mp4"]
    assert people["film"] == "film"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_order_of_the_groups_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    groups = sorted({f"{one}_{other}" for one, other in pairs})
    there, back = same_people(groups), same_people(list(reversed(groups)))
    for one, other in pairs:
        for group in groups:
            if {str(one), str(other)} & set(group.split("_")):
                assert there[group] == there[f"{one}_{other}"]
    assert {frozenset(g for g in groups if there[g] == there[x]) for x in groups} == {
        frozenset(g for g in groups if back[g] == back[x]) for x in groups
    }
