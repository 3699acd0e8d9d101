"""Data sets are recognised by their layout, read whole, and divided without leaks."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from models.datasets.layouts import LAYOUTS
from models.datasets.splits import GENUINE, LabelledMedia, discover, divide


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def by_name(media: Iterable[LabelledMedia]) -> dict[str, LabelledMedia]:
    return {f"{each.path.parent.name}/{each.path.name}": each for each in media}


def test_faceforensics_with_its_official_splits(tmp_path: Path) -> None:
    for method in ("Deepfakes", "NeuralTextures"):
        for name in ("000_003", "003_000", "010_011"):
            touch(tmp_path, f"manipulated_sequences/{method}/c23/videos/{name}.mp4")
            touch(tmp_path, f"manipulated_sequences/{method}/masks/videos/{name}.mp4")
    touch(tmp_path, *(f"original_sequences/youtube/c23/videos/{name}.mp4" for name in ("000", "003", "010")))
    touch(tmp_path, "original_sequences/youtube/c40/images/011/0001.png")
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.json").write_text(json.dumps([["000", "003"]]))
    (tmp_path / "splits" / "test.json").write_text(json.dumps([["010", "011"]]))
    media = discover(tmp_path)
    assert LAYOUTS["faceforensics++"](tmp_path) == media
    assert not any("masks" in each.path.parts for each in media)
    assert Counter(each.method for each in media) == {"Deepfakes": 3, "NeuralTextures": 3, GENUINE: 4}
    found = by_name(media)
    assert found["videos/000_003.mp4"].group == found["videos/003.mp4"].group == found["videos/000.mp4"].group
    assert found["videos/003_000.mp4"].split == "train"
    assert found["videos/010_011.mp4"].split == found["011/0001.png"].split == "test"
    assert found["011/0001.png"].group == found["videos/010.mp4"].group


def test_faceforensics_without_splits_keeps_pairs_together(tmp_path: Path) -> None:
    for number in range(0, 40, 2):
        a, b = f"{number:03}", f"{number + 1:03}"
        touch(tmp_path, f"original/{a}.mp4", f"original/{b}.mp4", f"FaceSwap/{a}_{b}.mp4")
        touch(tmp_path, f"Deepfakes/{b}_{a}.mp4")
    divided = divide(discover(tmp_path))
    assert len(divided) == 80
    sides = defaultdict(set)
    for each in divided:
        for video in each.path.stem.split("_"):
            sides[video].add(each.split)
    assert all(len(side) == 1 for side in sides.values())
    assert {each.split for each in divided} == {"train", "validation", "test"}


def test_actors_of_the_deepfake_detection_videos(tmp_path: Path) -> None:
    touch(tmp_path, "original_sequences/actors/c23/videos/01__kitchen_still.mp4")
    touch(tmp_path, "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__kitchen_still__ABCDEFGH.mp4")
    genuine, fake = discover(tmp_path)
    assert (genuine.fake, fake.fake) == (False, True)
    assert genuine.group == fake.group == "actor-01"
    assert fake.face_group == "actor-02"


def test_celeb_df_with_its_test_list(tmp_path: Path) -> None:
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "Celeb-real/id1_0001.mp4", "YouTube-real/00011.mp4")
    touch(tmp_path, "Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id1_id0_0001.mp4")
    listed = "1 YouTube-real/00011.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    (tmp_path / "List_of_testing_videos.txt").write_text(listed)
    found = by_name(discover(tmp_path))
    tests = {name for name, each in found.items() if each.split == "test"}
    assert tests == {"YouTube-real/00011.mp4", "Celeb-synthesis/id0_id1_0000.mp4"}
    swapped = found["Celeb-synthesis/id1_id0_0001.mp4"]
    assert (swapped.fake, swapped.group, swapped.face_group) == (True, "id1", "id0")
    assert not found["YouTube-real/00011.mp4"].fake
    divided = divide(list(found.values()))
    assert {each.path.name for each in divided if each.split == "test"} == {"00011.mp4", "id0_id1_0000.mp4"}


def test_dfdc_groups_a_fake_with_its_original(tmp_path: Path) -> None:
    part = tmp_path / "dfdc_train_part_0"
    touch(part, "aagfhgtpmv.mp4", "vudstovrck.mp4", "abarnvbtwb.mp4")
    rows = {
        "aagfhgtpmv.mp4": {"label": "FAKE", "split": "train", "original": "vudstovrck.mp4"},
        "vudstovrck.mp4": {"label": "REAL", "split": "train"},
        "abarnvbtwb.mp4": {"is_fake": 0},
        "notonddisk.mp4": {"label": "REAL"},
    }
    (part / "metadata.json").write_text(json.dumps(rows))
    media = discover(tmp_path)
    assert LAYOUTS["dfdc"](tmp_path) == media
    found = {each.path.stem: each for each in media}
    assert set(found) == {"aagfhgtpmv", "vudstovrck", "abarnvbtwb"}
    assert found["aagfhgtpmv"].fake
    assert found["aagfhgtpmv"].group == found["vudstovrck"].group == "vudstovrck"
    assert not found["abarnvbtwb"].fake


def test_faces_of_dfdc(tmp_path: Path) -> None:
    touch(tmp_path, "faces_224/aagfhgtpmv.jpg", "faces_224/vudstovrck.jpg")
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["videoname", "original_width", "original_height", "label", "original"])
        writer.writerow(["aagfhgtpmv.mp4", 129, 129, "FAKE", "vudstovrck.mp4"])
        writer.writerow(["vudstovrck.mp4", 129, 129, "REAL", ""])
    fake, genuine = discover(tmp_path)
    assert (fake.fake, genuine.fake) == (True, False)
    assert fake.group == genuine.group
    assert fake.cropped


def test_split_folders_inside_the_folder_of_an_archive(tmp_path: Path) -> None:
    for side in ("train", "valid", "test"):
        for number in range(3):
            touch(tmp_path, f"real_vs_fake/real-vs-fake/{side}/real/{side}{number}.jpg")
            touch(tmp_path, f"real_vs_fake/real-vs-fake/{side}/fake/X{side}{number}.jpg")
    media = discover(tmp_path)
    assert Counter(each.split for each in media) == {"train": 6, "validation": 6, "test": 6}
    assert len({each.group for each in media}) == 18
    assert divide(media) == media


def test_frames_of_one_dfdc_video_are_one_group(tmp_path: Path) -> None:
    touch(
        tmp_path, "train/fake/aagfhgtpmv_0.jpg", "train/fake/aagfhgtpmv_1.jpg", "train/real/vudstovrck_0.jpg"
    )
    assert sorted(each.group for each in discover(tmp_path)) == ["aagfhgtpmv", "aagfhgtpmv", "vudstovrck"]


def test_a_training_side_without_validation_is_divided(tmp_path: Path) -> None:
    for number in range(20):
        touch(tmp_path, f"train/real/r{number}.jpg", f"train/fake/f{number}.jpg", f"test/real/t{number}.jpg")
    sides = Counter(each.split for each in divide(discover(tmp_path)))
    assert sides["test"] == 20
    assert sides["validation"] >= 2


def test_pictures_of_a_generator(tmp_path: Path) -> None:
    touch(tmp_path, "fake/instantid/anna/1.png", "fake/photomaker/anna/2.png", "fake/3.png", ".hidden.png")
    touch(tmp_path, "real/anna/photo.jpg", "real/ben__1.jpg", "real/ben__2.jpg", "real/notes.txt")
    found = by_name(discover(tmp_path))
    assert {each.method for each in found.values()} == {"instantid", "photomaker", tmp_path.name, GENUINE}
    assert found["anna/1.png"].group == found["anna/2.png"].group == found["anna/photo.jpg"].group == "anna"
    assert found["real/ben__1.jpg"].group == found["real/ben__2.jpg"].group
    assert len(found) == 6


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_manifest(tmp_path: Path, kind: str) -> None:
    rows = [
        {"path": "a.mp4", "label": "fake", "method": "sync", "group": "ann", "split": "val"},
        {"path": "b.mp4", "label": "genuine", "method": "", "group": "", "split": ""},
    ]
    listing = tmp_path / f"manifest.{kind}"
    if kind == "csv":
        with listing.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        listing.write_text("\n".join(json.dumps(row) for row in rows))
    for given_path in (listing, tmp_path):
        fake, genuine = discover(given_path)
        assert (fake.fake, fake.method, fake.group, fake.split) == (True, "sync", "ann", "validation")
        assert (genuine.fake, genuine.method, genuine.split) == (False, GENUINE, None)
        assert genuine.path == tmp_path / "b.mp4"


def test_the_corpus_of_a_medium_is_named_or_its_first_folder(tmp_path: Path) -> None:
    corpora = {
        "portraits/fake/a.png": "portraits",
        "fake/swap/a.png": "",
        "train/real/a.png": "",
        "a.png": "",
        "../elsewhere/a.png": "",
        "/somewhere/a.png": "",
    }
    rows = [{"path": path, "label": "real"} for path in corpora]
    rows.append({"path": "portraits/b.png", "label": "real", "corpus": "studio"})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [each.corpus for each in discover(tmp_path)] == [*corpora.values(), "studio"]


@pytest.mark.parametrize(
    "line", ['{"path": "a.mp4"}', '{"path": "a", "label": "perhaps"}', "[1]", "{", "\x00"]
)
def test_a_wrong_manifest_names_what_is_wrong(tmp_path: Path, line: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(line)
    with pytest.raises(SettingsError, match=r"manifest\.jsonl"):
        discover(tmp_path)


def test_a_folder_of_no_layout_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "holiday/beach.jpg")
    with pytest.raises(SettingsError, match="known layout"):
        discover(tmp_path)
    assert not any(layout(tmp_path) for layout in LAYOUTS.values())


MEDIA = st.lists(
    st.builds(
        lambda number, group, fake, face: LabelledMedia(
            path=Path(f"{number}.mp4"),
            fake=fake,
            method="swap" if fake else GENUINE,
            group=f"g{group}",
            split=None,
            face_group=f"g{face}" if fake else None,
        ),
        st.integers(0, 10**6),
        st.integers(0, 12),
        st.booleans(),
        st.integers(0, 12),
    ),
    max_size=60,
)


@given(MEDIA, st.integers(0, 5))
def test_nobody_is_on_two_sides(media: list[LabelledMedia], seed: int) -> None:
    divided = divide(media, seed=seed)
    sides = defaultdict(set)
    for each in divided:
        sides[each.group].add(each.split)
        if each.face_group in {one.group for one in media}:
            sides[each.face_group].add(each.split)
    assert all(len(side) == 1 for side in sides.values())
    kept = Counter(each.path for each in divided)
    assert all(kept[each.path] for each in media if not each.fake)
    assert divide(media, seed=seed) == divided
