"""The revisions of the schema."""

from pathlib import Path

from storage import migrations


def test_the_revisions_are_one_line_without_a_number_twice() -> None:
    """Two branches that each add a revision must agree on which comes first."""
    files = sorted((Path(next(iter(migrations.__path__))) / "versions").glob("*.py"))
    numbers = [path.name[:4] for path in files]
    assert numbers == [f"{number:04}" for number in range(1, len(files) + 1)]
    for path, number, before in zip(files, numbers, [None, *numbers], strict=False):
        text = path.read_text()
        assert f'\nrevision = "{number}"\n' in text, path.name
        assert f"\ndown_revision = {before and chr(34) + before + chr(34)}\n" in text, path.name
