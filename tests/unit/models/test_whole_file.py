"""Files that are written completely or not at all."""

from pathlib import Path

import pytest

from models.whole_file import whole


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    with whole(path) as partial:
        partial.write_bytes(b"newer")
        assert path.read_bytes() == b"older"
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


def fill_the_disk(path: Path) -> None:
    with whole(path) as partial:
        partial.write_bytes(b"ne")
        raise OSError("the disk is full")


def test_after_an_error_the_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    with pytest.raises(OSError, match="disk"):
        fill_the_disk(path)
    assert path.read_bytes() == b"older"
