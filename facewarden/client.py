"""A client of the API: send videos to an installation, wait for their verdicts.

    from facewarden.client import Client

    with Client("https://moderation.example.com", token) as client:
        sent = client.upload("clip.mp4")
        print(client.wait(sent.video_id).verdict)

What may succeed later is tried again: no answer, 429 and 503, after as long as `Retry-After` says. An upload
that is tried again is still one upload.
"""

import hashlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import TypeAdapter

from core.errors import (
    FileVanished,
    MediaTooLarge,
    NotYetScreened,
    ServerBusy,
    ServerRefused,
    ServiceUnavailable,
    Unreadable,
)
from core.outcomes import DecisionState, ScreeningStatus, Verdict
from core.priorities import Priority

AGAIN = frozenset({408, 429, 502, 503, 504})  # statuses of answers that may be better later
ATTEMPTS = 8  # of one request; with the pauses below, some two minutes
FIRST_PAUSE_SECONDS = 0.5  # doubled each time, and shortened at random by up to half
LONGEST_PAUSE_SECONDS = 60.0  # also where a server asks for more
ANSWER_SECONDS = 60.0
# Of a large upload's end: the server reads the whole file meanwhile.
COMPLETE_SECONDS = 3600.0
LOOK_SECONDS = (0.5, 10.0)  # between looks while waiting: at first, and in the end
PIECE_BYTES = 1024**2

Named = str | os.PathLike[str]
Answer = TypeVar("Answer")
# Made anew for each attempt, since an attempt may have read half of it.
Body = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    video_id: int
    sha256: str  # of the content, hex
    name: str  # by which people find it
    intake: str  # "queued": a screening was requested; "known": the content was there before
    priority: Priority


@dataclass(frozen=True, kw_only=True)
class Status:
    """How far the screening of a video is."""

    video_id: int
    status: ScreeningStatus
    priority: Priority
    verdict: Verdict | None  # once it is done
    score: float | None  # calibrated probability of a fake, [0, 1]
    error_code: str | None  # if it failed
    error_message: str | None

    @property
    def ended(self) -> bool:
        return self.status in {ScreeningStatus.DONE, ScreeningStatus.FAILED}


@dataclass(frozen=True, kw_only=True)
class Flagged:
    """A video whose verdict is fake or suspect."""

    video_id: int
    sha256: str
    name: str
    source: str  # where it was first seen
    added_at: datetime
    verdict: Verdict
    score: float  # calibrated probability of a fake, [0, 1]
    decision_state: DecisionState


class Client:
    """One installation, one token. Threads may share it."""

    def __init__(
        self,
        server: str,
        token: str,
        *,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`server` is the address of the review service, `token` one with the scopes that are needed.

        `attempts` bounds the tries of each request. `transport` and `sleep` are for tests.
        """
        self._server = server.rstrip("/")
        self._attempts, self._sleep = attempts, sleep
        self._http = httpx.Client(
            base_url=f"{self._server}/v1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=ANSWER_SECONDS,
            transport=transport,
        )
        # For the object store, which must not see the token.
        self._bare = httpx.Client(timeout=ANSWER_SECONDS, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()
        self._bare.close()

    def upload(
        self,
        path: Named,
        *,
        name: str | None = None,
        priority: Priority = Priority.NORMAL,
        key: str | None = None,
    ) -> Uploaded:
        """Send a file for screening. One that is too large for the service goes to its object store directly.

        Args:
            path: the file, which is read piece by piece.
            name: by which people find it; by default the file's.
            priority: `interactive` takes a token with the scope `interactive`.
            key: the Idempotency-Key, for who may have to send it again after a crash; by default a new one.

        Raises:
            FileVanished, Unreadable: the file cannot be read.
            MediaTooLarge: neither way takes it.
            ServerRefused: it is no media, the token does not do, and the like; `problem` says which.
            ServerBusy, ServiceUnavailable: after all attempts.
        """
        path = Path(path)
        name = name or path.name
        try:
            return self._post(path, name, priority, key or uuid.uuid4().hex)
        except ServerRefused as error:
            if error.fields["problem"] != MediaTooLarge.code:
                raise
            return self._send_directly(path, name, priority, error)

    def _post(self, path: Path, name: str, priority: Priority, key: str) -> Uploaded:
        answer = self._ask(
            "POST",
            "/videos",
            about=name,
            body=lambda: _opened(path),
            params={"name": name, "priority": priority.value},
            headers={"Idempotency-Key": key, "Content-Type": "application/octet-stream"},
        )
        return _read(Uploaded, answer)

    def _send_directly(self, path: Path, name: str, priority: Priority, error: ServerRefused) -> Uploaded:
        size, sha256 = _measured(path)
        announced = {"name": name, "size_bytes": size, "sha256": sha256, "priority": priority.value}
        try:
            begun = self._ask("POST", "/direct-uploads", about=name, json=announced).json()
        except ServerRefused as refused:
            if refused.fields["problem"] != "conflict":
                raise
            raise error from None  # its objects are in no bucket: the first answer is the one that helps
        for part in begun["parts"]:
            self._put(path, name, part)
        done = self._ask(
            "POST", f"/direct-uploads/{begun['id']}:complete", about=name, timeout=COMPLETE_SECONDS
        )
        return _read(Uploaded, done)

    def _put(self, path: Path, name: str, part: dict[str, Any]) -> None:
        start, size = part["start"], part["size_bytes"]
        self._ask(
            "PUT",
            part["url"],
            about=name,
            http=self._bare,
            body=lambda: nullcontext(_pieces(path, start, size)),
            headers={"Content-Length": str(size)},
        )

    def status(self, video_id: int) -> Status:
        """How far a video is. Raises ServerRefused where there is none."""
        return _read(Status, self._ask("GET", f"/videos/{video_id}/status", about=f"video {video_id}"))

    def cancel(self, video_id: int) -> Status:
        """Cancel a screening that waits or runs; twice is once. Raises ServerRefused where it has ended."""
        return _read(Status, self._ask("POST", f"/videos/{video_id}:cancel", about=f"video {video_id}"))

    def wait(self, video_id: int, *, timeout: float | None = None) -> Status:
        """The status once the screening has ended. Raises NotYetScreened after `timeout` seconds."""
        pause, longest = LOOK_SECONDS
        waited = 0.0
        while not (status := self.status(video_id)).ended:
            if timeout is not None and waited >= timeout:
                raise NotYetScreened(name=f"video {video_id}", seconds=f"{timeout:g}", status=status.status)
            step = pause if timeout is None else min(pause, timeout - waited)
            self._sleep(step)
            waited, pause = waited + step, min(1.5 * pause, longest)
        return status

    def flagged(self, *, since: datetime | None = None) -> Iterator[Flagged]:
        """The videos called fake or suspect, the newest first; with `since`, those first seen since then."""
        wanted: dict[str, Any] = {"verdict": ["fake", "suspect"], "sort": "time"}
        if since is not None:
            wanted["since"] = since.isoformat()
        while True:
            page = self._ask("GET", "/videos", about="the list of videos", params=wanted).json()
            for item in page["items"]:
                yield TypeAdapter(Flagged).validate_python(item)
            if page["next_cursor"] is None:
                return
            wanted["cursor"] = page["next_cursor"]

    def _ask(
        self,
        method: str,
        address: str,
        *,
        about: str,
        http: httpx.Client | None = None,
        body: Body | None = None,
        **request: Any,
    ) -> httpx.Response:
        """One request with all its attempts; `about` is what messages name."""
        http, attempt = http or self._http, 1
        while True:
            try:
                with body() if body is not None else nullcontext() as content:
                    answer = http.request(method, address, content=content, **request)
            except httpx.TransportError as error:
                if attempt == self._attempts:
                    reason = str(error) or type(error).__name__
                    raise ServiceUnavailable(
                        service="Facewarden", address=self._server, reason=reason, setting="the address"
                    ) from error
                asked = None
            else:
                if answer.is_success:
                    return answer
                if answer.status_code not in AGAIN:
                    raise ServerRefused(name=about, **_told(answer))
                if attempt == self._attempts:
                    raise ServerBusy(name=about, attempts=attempt, **_told(answer))
                asked = answer.headers.get("Retry-After")
            self._sleep(_pause(attempt, asked))
            attempt += 1


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds before the next attempt: what the server asked for, else longer each time, by chance."""
    if asked is not None and asked.isdecimal():
        return min(float(asked), LONGEST_PAUSE_SECONDS)
    longest = min(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
    return float(longest * random.uniform(0.5, 1))


def _told(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says went wrong; a proxy or an object store does not speak problem+json."""
    try:
        told = answer.json()
        detail, problem = str(told["detail"]), str(told["code"])
    except (ValueError, KeyError, TypeError):
        detail, problem = f"the server answered {answer.reason_phrase or 'with an error'}.", "unknown"
    return {"detail": detail, "problem": problem, "status": answer.status_code}


def _read(kind: type[Answer], answer: httpx.Response) -> Answer:
    return TypeAdapter(kind).validate_json(answer.content)


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileVanished(name=path) from error
    except OSError as error:
        raise Unreadable(name=path, reason=error.strerror) from error


def _measured(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256."""
    with _opened(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _pieces(path: Path, start: int, size: int) -> Iterable[bytes]:
    with _opened(path) as file:
        file.seek(start)
        while size > 0 and (piece := file.read(min(PIECE_BYTES, size))):
            size -= len(piece)
            yield piece
