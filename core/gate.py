"""The gate: what can be wrong with a file before it is decoded.

The bucket, `facewarden ingest`, uploads and `facewarden screen` all check here, in this order: can it be
opened, is it a regular file, is it too large, is it empty, is it a format that is screened
(`core.media_formats`). What passes may still be damaged; what fails never reaches a decoder.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import (
    EmptyFile,
    FileVanished,
    InputError,
    MediaTooLarge,
    NotMedia,
    Unreadable,
    UnsafePath,
    UnsupportedMedia,
)
from core.media_formats import MediaFormat, format_of
from core.media_signatures import looks_like_text

PIECE_BYTES = 1024 * 1024  # read at once; more than HEAD_BYTES
LINK = (errno.ELOOP, errno.ENOTDIR)  # how O_NOFOLLOW reports a link to a file, and to a folder
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0\r\n", b"v=0\n", b"<?xml", b"<MPD")


def open_regular(path: Path, *, root: Path, name: str, max_bytes: int) -> BinaryIO:
    """Open a file without following a link below `root` and without waiting for the other end of a pipe.

    Raises FileVanished, Unreadable, UnsafePath or MediaTooLarge.
    """
    descriptor = _open(path, root, name)
    try:
        _check(os.fstat(descriptor), name, max_bytes)
    except InputError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def pieces(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The rest of the file, piece by piece.

    Raises Unreadable where the disk or network share fails, so that it does not look like our own fault.
    """
    while True:
        try:
            piece = file.read(PIECE_BYTES)
        except OSError as error:
            raise Unreadable(name=name, reason=error.strerror) from error
        if not piece:
            return
        yield piece


def sniff(head: bytes, name: str) -> MediaFormat:
    """The format of the file whose first bytes are `head` (HEAD_BYTES of them, or all there are).

    Raises:
        EmptyFile: there are none.
        NotMedia: they belong to no known format.
        UnsupportedMedia: they belong to a known format that is not screened.
    """
    if not head:
        raise EmptyFile(name=name)
    found = format_of(head)
    if found is None:
        raise NotMedia(name=name, reason=_described(head))
    if not found.screened:
        raise UnsupportedMedia(name=name, reason=f"the format {found.name}", remedy=found.remedy)
    return found


def _open(path: Path, root: Path, name: str) -> int:
    """Folder by folder, each opened from the one before: nobody can slip a link into the path."""
    *folders, last = path.relative_to(root).parts or (".",)
    flags = os.O_RDONLY | os.O_CLOEXEC
    held = None
    try:
        held = os.open(root, flags | os.O_DIRECTORY)
        for folder in folders:
            below = os.open(folder, flags | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
            os.close(held)
            held = below
        return os.open(last, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held)
    except OSError as error:
        raise _refusal(error, name) from error
    finally:
        if held is not None:
            os.close(held)


def _refusal(error: OSError, name: str) -> InputError:
    if error.errno == errno.ENOENT:
        return FileVanished(name=name)
    if error.errno in LINK:
        return UnsafePath(name=name, reason="it is a symbolic link, or is reached through one")
    if error.errno == errno.ENXIO:  # a socket
        return UnsafePath(name=name, reason="it is not a regular file")
    return Unreadable(name=name, reason=error.strerror)


def _check(status: os.stat_result, name: str, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafePath(name=name, reason="it is not a regular file")
    if status.st_size > max_bytes:
        raise MediaTooLarge(
            name=name,
            quantity="the size in bytes",
            value=status.st_size,
            limit=max_bytes,
            setting="FACEWARDEN_INGEST__MAX_FILE_BYTES",
        )


def _described(head: bytes) -> str:
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(PLAYLISTS):
        return "it is a playlist, which names other files"
    if looks_like_text(head):
        return "it is text"
    return f"it begins with {head[:4].hex(' ')}"
