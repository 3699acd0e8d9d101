"""Folders taken in as a whole: what is known need not be read again."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import ServiceUnavailable
from ingest import folders
from ingest.folders import Folders
from ingest.registration import Registrar
from tests.integration.ingest.site import MP4, Site


def test_known_files_are_skipped_unless_they_changed(site: Site, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for number in range(5):
        (films / f"{number}.mp4").write_bytes(MP4 + bytes([number]))
    taken = Folders([films], site.registrar, site.settings)
    assert taken.count() == 5
    assert sum(step.receipt is not None for step in taken.steps()) == 5
    (films / "0.mp4").write_bytes(MP4 + b"changed")
    (films / "5.mp4").write_bytes(MP4 + b"new")
    again = list(Folders([films], site.registrar, site.settings, skip_known=True).steps())
    assert sum(step.files for step in again) == 6
    assert sorted(Path(step.receipt.name).name for step in again if step.receipt) == ["0.mp4", "5.mp4"]
    assert len([known for step in again for known in step.known]) == 4


def test_after_an_outage_it_goes_on_without_reading_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "TOGETHER", 2)
    for number in range(5):
        (tmp_path / f"{number}.mp4").write_bytes(MP4 + bytes([number]))
    register, read = Registrar.register, list[str]()

    def failing(self: Registrar, path: Path, **given: Any) -> Any:
        read.append(path.name)
        if len(read) == 3:
            raise ServiceUnavailable(service="s", address="a", reason="r", setting="x")
        return register(self, path, **given)

    monkeypatch.setattr(Registrar, "register", failing)
    taken = Folders([tmp_path / f"{number}.mp4" for number in range(5)], site.registrar, site.settings)
    with pytest.raises(ServiceUnavailable):
        list(taken.steps())
    assert sum(step.files for step in taken.steps()) == 5
    assert read == ["0.mp4", "1.mp4", "2.mp4", "2.mp4", "3.mp4", "4.mp4"]
