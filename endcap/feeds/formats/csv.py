"""CSV: one record a line, with a declared delimiter, quote and encoding."""

from __future__ import annotations

import csv
import io
import itertools
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

from endcap.feeds.opening import refuse_utf16
from endcap.feeds.record import ASK_AGAIN, MAX_RECORD_BYTES, BadRecord, Chunk, Cut, Header, Options, Unreadable, chunks, text_option, unique_names

OPTIONS: dict[str, str] = {
    "encoding": "The text encoding, utf-8 when left out (cp1252, latin-1, utf-16 ...).",
    "delimiter": "What separates columns, ',' when left out; 'tab' for a tab.",
    "quote": "What encloses a text that holds the delimiter, '\"' when left out; 'none' for none.",
    "header_row": "The line the column names stand in, 1 when left out; lines before it are skipped.",
    "columns": "The column names, separated by commas, of a file that has none.",
}
KINDS = frozenset({"text"})
MAX_COLUMNS = 10_000
# A quoted text may run over lines; an unclosed quote would run to the end of the file, so it is given up after these.
MAX_RECORD_LINES = 1_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNBYTED = ("utf-16", "utf-32")  # encodings in which a line does not end with one byte


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Cut the file into records by line ends and quotes; only records that hold a quote are parsed here. Memory is bounded by one chunk.

    Raises Unreadable without a header, or with more columns than MAX_COLUMNS.
    """
    encoding = text_option(options, "encoding", "utf-8").lower().replace("_", "-")
    if encoding.startswith(UNBYTED):
        stream, encoding = _as_utf8(stream, encoding), "utf-8"
    lines = _Lines(stream, encoding)
    header = _header(lines, options, encoding)
    yield from chunks(header, _records(lines, header, options))


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One record as text by column. Raises BadRecord when its columns are not the header's."""
    try:
        text = raw.decode(header.encoding)
    except UnicodeDecodeError as error:
        raise BadRecord("bad_encoding", f"byte {error.start + 1} of the record is not {header.encoding}") from None
    if "\0" in text:
        raise BadRecord("nul_byte", "the record holds a NUL byte")
    try:
        row = next(csv.reader([text], **_dialect(options.get("delimiter", ","), options.get("quote", '"'))))
    except csv.Error as error:
        raise BadRecord("broken_quote" if "expected" in str(error) else "bad_csv", f"the record is not CSV: {error}") from None
    if len(row) != len(header.columns):
        raise BadRecord("ragged_row", f"the record has {len(row)} columns, the header {len(header.columns)}")
    return dict(zip(header.columns, row, strict=True))


class _Lines:
    """Lines of a stream with their ends; lines can be handed back."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        head = stream.read(1 << 16)
        refuse_utf16(head, encoding)
        self._back: deque[bytes] = deque()
        self._stream: BinaryIO = io.BufferedReader(_Joined(head.removeprefix(BYTE_ORDER_MARK), stream), 1 << 20)
        if b"\n" not in head and b"\r" in head:
            self._stream = io.BytesIO(self._stream.read().replace(b"\r", b"\r\n"))

    def next(self) -> bytes:
        """The next line, b'' at the end; never longer than MAX_RECORD_BYTES."""
        return self._back.popleft() if self._back else self._stream.readline(MAX_RECORD_BYTES)

    def hand_back(self, lines: list[bytes]) -> None:
        self._back.extendleft(reversed(lines))


class _Joined(io.RawIOBase):
    """Bytes already read, then the rest of their stream."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(part) :]
        buffer[: len(part)] = part
        return len(part)


@cache
def _dialect(delimiter: Any, quote: Any) -> dict[str, Any]:
    delimiter = "\t" if delimiter in ("tab", "\\t") else str(delimiter)
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if quote == "none" else {"quotechar": str(quote)}
    return {"delimiter": delimiter, "strict": True, "doublequote": True, **quoting}


def _as_utf8(stream: BinaryIO, encoding: str) -> BinaryIO:
    """Half characters pass through here and are refused record by record."""
    text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogatepass", newline="")
    recoded = (line.encode("utf-8", "surrogatepass") for line in iter(lambda: text.readline(MAX_RECORD_BYTES), ""))
    return io.BufferedReader(_Blocks(recoded))


class _Blocks(io.RawIOBase):
    """A stream over blocks of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._left = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            self._left = self._left or next(self._blocks, b"")
        except UnicodeError as error:
            raise Unreadable("bad_encoding", f"it is not text in the declared encoding: {error.args[-1]}", "correct options.encoding") from None
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _header(lines: _Lines, options: Options, encoding: str) -> Header:
    if "columns" in options:
        return Header(unique_names(str(options["columns"]).split(",")), b"", encoding)
    for _ in range(int(options.get("header_row", 1)) - 1):
        lines.next()
    raw = next((cut for cut in _records(lines, None, options)), b"")
    if not isinstance(raw, bytes) or not raw.strip():
        raise Unreadable("empty", "it holds nothing, not even column names", ASK_AGAIN)
    if b"\0" in raw:
        raise Unreadable("bad_header", "its header holds NUL bytes, so it is no text", ASK_AGAIN)
    try:
        names = next(csv.reader([raw.decode(encoding)], **_dialect(options.get("delimiter", ","), options.get("quote", '"'))))
    except UnicodeDecodeError as error:
        raise Unreadable("bad_header", f"byte {error.start + 1} of its header is not {encoding}", "correct options.encoding") from None
    except csv.Error as error:
        raise Unreadable("bad_header", f"its header cannot be read: {error}", "correct options.encoding, options.delimiter or options.header_row") from None
    if len(names) > MAX_COLUMNS:
        raise Unreadable("too_many_columns", f"it has {len(names):,} columns", ASK_AGAIN)
    return Header(unique_names(names), raw, encoding)


def _records(lines: _Lines, header: Header | None, options: Options) -> Iterator[bytes | Cut]:
    """Raw records without their line ends; blank lines are no records."""
    quote = text_option(options, "quote", '"').encode()
    while line := lines.next():
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            yield _too_long(line, lines)
        elif quote in line:
            yield _quoted(line, lines, header, options)
        elif bare := line.rstrip(b"\r\n"):
            yield bare


def _too_long(start: bytes, lines: _Lines) -> Cut:
    while (more := lines.next()) and not more.endswith(b"\n"):
        continue
    return Cut(0, start, "too_long", f"the line is longer than {MAX_RECORD_BYTES:,} bytes; only its start is kept")


def _quoted(line: bytes, lines: _Lines, header: Header | None, options: Options) -> bytes | Cut:
    """A record whose quoted text may run on; what does not come out as one whole record costs its first line only."""
    taken = [line]

    def more() -> Iterator[str]:
        yield line.decode("latin-1")
        for _ in itertools.repeat(None, MAX_RECORD_LINES):
            taken.append(lines.next())
            if not taken[-1] or sum(map(len, taken[-2:])) > MAX_RECORD_BYTES:
                return
            yield taken[-1].decode("latin-1")

    try:
        row = next(csv.reader(more(), **_dialect(options.get("delimiter", ","), options.get("quote", '"'))))
        whole = len(taken) == 1 or header is None or len(row) == len(header.columns)
    except csv.Error:
        whole = False
    if whole:
        return b"".join(taken).rstrip(b"\r\n")
    lines.hand_back(taken[1:])
    if len(taken) == 1:
        return line.rstrip(b"\r\n")
    return Cut(0, line.rstrip(b"\r\n"), "broken_quote", "a quote is opened and not closed")


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (b"id,title\r\n1,Mug\r\n\r\n2,\xc3\xa4\r\n", {}, [{"id": "1", "title": "Mug"}, {"id": "2", "title": "ä"}]),
    (b'\xef\xbb\xbfid;title\n1;"Mug; ""red""\n2 l"\n', {"delimiter": ";"}, [{"id": "1", "title": 'Mug; "red"\n2 l'}]),
    (b'id,title\n1,Widget 12" wrench\n2,"Widget 12" wrench"\n', {}, [{"id": "1", "title": 'Widget 12" wrench'}, "broken_quote"]),
    (b'id,title\n1,"Mug\n2,Cup\n3,Jug\n', {}, ["broken_quote", {"id": "2", "title": "Cup"}, {"id": "3", "title": "Jug"}]),
    (b'id,title\n1,"Mug\n2,"Cup"\n', {}, ["broken_quote", {"id": "2", "title": "Cup"}]),
    (b"id,title\n1\n1,2,3\n0012,x\n", {}, ["ragged_row", "ragged_row", {"id": "0012", "title": "x"}]),
    (b"id,title\n1,\xe4\n2,a\0b\n3,c\n", {}, ["bad_encoding", "nul_byte", {"id": "3", "title": "c"}]),
    (b"id,title\n1,\xe4\n", {"encoding": "cp1252"}, [{"id": "1", "title": "ä"}]),
    ("id,title\n1,ä\n".encode("utf-16"), {"encoding": "utf-16"}, [{"id": "1", "title": "ä"}]),
    (b"id\ttitle\r1\tMug\r2\tCup", {"delimiter": "tab"}, [{"id": "1", "title": "Mug"}, {"id": "2", "title": "Cup"}]),
    (b"Price list\n id ,,id\n1,2,3\n", {"header_row": 2}, [{"id": "1", "column_2": "2", "id#2": "3"}]),
    (b'1|Mug "big"\n', {"columns": "id,title", "delimiter": "|", "quote": "none"}, [{"id": "1", "title": 'Mug "big"'}]),
    (b"id,title\n", {}, []),
]
BROKEN: list[tuple[bytes, Options, str]] = [
    (b"", {}, "empty"),
    (b"\n\n", {}, "empty"),
    (b",".join([b"c"] * 20_000) + b"\n", {}, "too_many_columns"),
    (b"\xe4,b\n", {}, "bad_header"),
    (b"\0" * 5_000 + b"\n", {}, "bad_header"),
    ("id,title\n1,ä\n".encode("utf-16"), {}, "bad_encoding"),
    ("id,title\n1,ä\n".encode("utf-16-le"), {}, "bad_encoding"),
    ("id,title\n1,ä\n".encode("utf-16-be"), {"encoding": "cp1252"}, "bad_encoding"),
]
