"""A file in a multipart/form-data body, as it arrives: it is collected neither in memory nor on disk."""

from collections.abc import AsyncIterator, Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from core.errors import InvalidQuery

MEDIA_TYPE = "multipart/form-data"
LONGEST_FIELD = 1000  # bytes, of a text field before the file


class MultipartFile:
    """The last part of a body. `name` and `fields` are known after `begin`, which comes before `content`.

    Both raise InvalidQuery for a body that is not one file, behind short texts named in `leading` at most.
    """

    def __init__(
        self, body: AsyncIterator[bytes], content_type: str, *, leading: Collection[str] = ()
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind.decode() != MEDIA_TYPE or not boundary:
            raise _broken("Content-Type names no boundary")
        self.name: str | None = None
        self.fields: dict[str, str] = {}
        self._leading = frozenset(leading)
        self._part, self._text = "", bytearray()
        self._body = body
        self._field, self._value = bytearray(), bytearray()
        self._opened, self._ended = False, False
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
                    "on_part_end": self._on_part_end,
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
        if self._opened:
            raise _broken("it has more than one part; send the file alone, and the rest in the query")
        self._part, self.name = "", None
        self._text.clear()

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            filename = options.get(b"filename")
            self._part = options.get(b"name", b"").decode(errors="replace")
            self.name = filename.decode(errors="replace") if filename else None
        self._field.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        self._opened = self._part not in self._leading - self.fields.keys() or self.name is not None

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._opened:
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > LONGEST_FIELD:
            raise _broken(f"its field {self._part} is longer than {LONGEST_FIELD} bytes")

    def _on_part_end(self) -> None:
        if not self._opened:
            self.fields[self._part] = self._text.decode(errors="replace")

    def _on_end(self) -> None:
        self._opened = self._ended = True


def is_form(request: Request) -> bool:
    """Whether the body is a form, and not the file itself."""
    kind = request.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == MEDIA_TYPE


async def file_of(
    request: Request, *, leading: Collection[str] = ()
) -> tuple[AsyncIterator[bytes], str | None, dict[str, str]]:
    """The file that is sent, as the body or as the last part of a form; its name where the form has one; and
    the fields before it, of the names `leading` at most.

    Raises InvalidQuery, also while it is read.
    """
    if not is_form(request):
        return request.stream(), None, {}
    form = MultipartFile(request.stream(), request.headers["Content-Type"], leading=leading)
    await form.begin()
    return form.content(), form.name, form.fields


def _broken(reason: str) -> InvalidQuery:
    return InvalidQuery(parameter="the multipart body", reason=reason)
