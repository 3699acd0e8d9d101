"""The folder of objects."""

import os
import time
from pathlib import Path

import pytest

from core.errors import FileVanished, ObjectStoreError
from storage.objects.folder import FolderStore
from storage.objects.store import INCOMING, LEFT_BEHIND_SECONDS


def test_what_goes_in_comes_out_under_its_hash(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    key = store.put_bytes(b"face", ".jpg")
    assert store.put_bytes(b"face", ".jpg") == key
    assert key.endswith(".jpg")
    assert store.read(key) == b"face"
    assert store.exists(key)


@pytest.mark.parametrize("key", ["../../etc/passwd", "ab/../../x", "", "ab/" + "g" * 62])
def test_no_key_climbs_out(tmp_path: Path, key: str) -> None:
    with pytest.raises(ObjectStoreError):
        FolderStore(tmp_path).exists(key)


def test_what_is_not_there_is_said_to_have_vanished(tmp_path: Path) -> None:
    with pytest.raises(FileVanished):
        FolderStore(tmp_path).read("ab/" + "0" * 62)


def test_only_what_was_left_behind_long_ago_is_swept(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    key = store.put_bytes(b"whole")
    old, young = (tmp_path / f"{INCOMING}{age}" for age in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    long_ago = time.time() - LEFT_BEHIND_SECONDS - 60
    for path in (old, store.path(key)):
        os.utime(path, (long_ago, long_ago))
    assert store.sweep() == 1
    assert not old.exists()
    assert young.exists()
    assert store.exists(key)
    assert FolderStore(tmp_path / "not made yet").sweep() == 0
