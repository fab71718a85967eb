"""JSON lines: one record a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from endcap.feeds.jsontext import decode_object
from endcap.feeds.opening import refuse_utf16
from endcap.feeds.record import MAX_RECORD_BYTES, Chunk, Cut, Header, Options, chunks, text_option

OPTIONS: dict[str, str] = {"encoding": "The text encoding, utf-8 when left out; one in which a line ends with the byte 0A."}
KINDS = frozenset({"json"})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Cut the file at its line ends; empty lines are no records. Memory is bounded by one chunk."""
    return chunks(Header(encoding=text_option(options, "encoding", "utf-8")), _lines(stream))


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One line as nested text."""
    return decode_object(raw, header.encoding)


def _lines(stream: BinaryIO) -> Iterator[bytes | Cut]:
    mark = BYTE_ORDER_MARK
    while line := stream.readline(MAX_RECORD_BYTES):
        if mark:
            refuse_utf16(line, "an encoding that jsonl is read in", "ask the supplier for UTF-8")
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            yield _too_long(line, stream)
            continue
        line, mark = line.removeprefix(mark).strip(), b""
        if line:
            yield line


def _too_long(start: bytes, stream: BinaryIO) -> Cut:
    """Skip the rest of an overlong line without holding it."""
    while (more := stream.readline(MAX_RECORD_BYTES)) and not more.endswith(b"\n"):
        continue
    return Cut(0, start, "too_long", f"the line is longer than {MAX_RECORD_BYTES:,} bytes; only its start is kept")


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (b'{"id": 1, "price": 1e3}\n\n{"id": "b"}\r\n', {}, [{"id": "1", "price": "1e3"}, {"id": "b"}]),
    (b'\xef\xbb\xbf{"id": 1}\n{"id": 2', {}, [{"id": "1"}, "bad_json"]),
    (b'{"id": NaN}\n{"id": 1, "id": 1}\n[1]\n', {}, ["not_a_number", "duplicate_name", "not_an_object"]),
    (b'{"a": ' + b"[" * 100_000 + b"\n", {}, ["too_deep"]),
    (b'{"id": "\xe4"}\n', {"encoding": "latin-1"}, [{"id": "ä"}]),
    (b'{"id": "' + b"x" * MAX_RECORD_BYTES + b'"}\n{"id": 2}\n', {}, ["too_long", {"id": "2"}]),
]
BROKEN: list[tuple[bytes, Options, str]] = [('{"id": 1}\n'.encode("utf-16"), {}, "bad_encoding")]
