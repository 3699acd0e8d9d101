"""A file in a multipart/form-data body, as it arrives: nothing is collected in memory or on disk."""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from core.errors import InvalidQuery

MEDIA_TYPE = "multipart/form-data"


class MultipartFile:
    """The only part of a body. `name` is known after `begin`, which comes before `content`.

    Both raise InvalidQuery for a body that is not one file.
    """

    def __init__(self, body: AsyncIterator[bytes], content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind.decode() != MEDIA_TYPE or not boundary:
            raise _broken("Content-Type names no boundary")
        self.name: str | None = None
        self._body = body
        self._field, self._value = bytearray(), bytearray()
        self._parts, self._opened, self._ended = 0, False, False
        self._pieces: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    async def begin(self) -> None:
        """Read as far as the content of the part."""
        while not self._opened:
            await self._read()

    async def content(self) -> AsyncIterator[bytes]:
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if self._ended:
                break
            await self._read()
        async for _ in self._body:  # what comes behind the last boundary means nothing
            pass

    async def _read(self) -> None:
        piece = await anext(self._body, None)
        if piece is None:
            raise _broken("it ends before its last boundary")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _broken(str(error)) from error

    def _on_part(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise _broken("it has more than one part; send the file alone, and the rest in the query")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            filename = options.get(b"filename")
            self.name = filename.decode(errors="replace") if filename else None
        self._field.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        self._opened = True

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _on_end(self) -> None:
        self._opened = self._ended = True


def is_form(request: Request) -> bool:
    """Whether the body is a form, and not the file itself."""
    kind = request.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == MEDIA_TYPE


async def file_of(request: Request) -> tuple[AsyncIterator[bytes], str | None]:
    """The file that is sent, as the body or as the only part of a form; and its name where the form has one.

    Raises InvalidQuery, also while it is read.
    """
    if not is_form(request):
        return request.stream(), None
    form = MultipartFile(request.stream(), request.headers["Content-Type"])
    await form.begin()
    return form.content(), form.name


def _broken(reason: str) -> InvalidQuery:
    return InvalidQuery(parameter="the multipart body", reason=reason)
