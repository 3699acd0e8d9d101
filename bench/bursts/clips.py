"""The whole clips that are compared, and whose they are: who must not be on both sides of a comparison."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import SettingsError
from models.datasets.media import GENUINE, LabelledMedia
from models.datasets.splits import discover

FILMS = "genuine videos"  # the source of the folder's own `videos/`, as `facewarden hold-out` calls it


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One whole video of known truth."""

    path: Path
    name: str  # unique: the file's name without suffix
    fake: bool
    method: str  # what made it; "genuine" for what is not fake
    source: str  # the data set or project that it comes from
    people: str  # the same for all clips that may show one person, or were filmed in one session
    trained_on: bool  # the checkpoint may have learned from it, or from another clip of its group
    method_seen: bool  # the checkpoint learned from other media of this method


def list_clips(data: Path, held_out: Path) -> list[Clip]:
    """Every video of the data set `data`/manipulated, and the genuine ones of `data`/videos, in order.

    Args:
        held_out: the manifest of `facewarden hold-out` for the checkpoint: all else counts as trained on.

    Raises SettingsError where one of them holds nothing labelled, or the manifest none of these videos.
    """
    media = discover(data / "manipulated")
    videos = [each for each in media if each.is_video] + _films(data)
    kept = {each.path.resolve() for each in discover(held_out)}
    if not any(each.path.resolve() in kept for each in videos):
        reason = f"none of the videos in {data} is listed in {held_out}; its paths are relative to it"
        raise SettingsError(setting="--held-out", reason=reason)
    unseen = _never_trained_on(media, kept)
    people = same_people([each.group for each in videos])
    return [
        Clip(
            path=each.path,
            name=each.path.stem,
            fake=each.fake,
            method=each.method,
            source=each.source,
            people=people[each.group],
            trained_on=each.path.resolve() not in kept,
            method_seen=each.method not in unseen,
        )
        for each in videos
    ]


def _films(data: Path) -> list[LabelledMedia]:
    return [
        LabelledMedia(path=path, fake=False, method=GENUINE, group=path.stem, split=None, source=FILMS)
        for path in sorted((data / "videos").glob("*.mp4"))
    ]


def _never_trained_on(media: Sequence[LabelledMedia], kept: set[Path]) -> set[str]:
    """Methods of which every medium, videos and pictures, was held out."""
    every = Counter(each.method for each in media)
    held = Counter(each.method for each in media if each.path.resolve() in kept)
    return {method for method, count in every.items() if held[method] == count}


def same_people(groups: Iterable[str]) -> dict[str, str]:
    """For each group of a manifest a name that it shares with all groups that may show the same people.

    Chains are followed: a swap of 469 and 481 joins the originals of both. Of a project's own examples
    (`owner/project:folder/file`), those in one folder count as the same people, as nobody says otherwise.
    """
    joined: dict[str, set[str]] = {}
    for group in groups:
        members = {group, *(f"={person}" for person in _persons(group))}
        members = members.union(*(joined.get(one, set()) for one in members))
        joined |= dict.fromkeys(members, members)
    named = {group: members for group, members in joined.items() if not group.startswith("=")}
    return {group: min(members & named.keys()) for group, members in named.items()}


def _persons(group: str) -> list[str]:
    """Who is in it, by the names of FaceForensics++ (`469_481`, `08__podium_speech`) or by its folder."""
    if ":" in group:
        return [group.rpartition("/")[0]]
    actors, _, scene = group.partition("__")
    prefix = "actor " if scene else ""
    numbers = actors.split("_")
    return [prefix + number for number in numbers] if all(map(str.isdigit, numbers)) else [group]
