"""JSON: one array of records, at the top or under the path given as `records`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from endcap.feeds.jsontext import decode_object
from endcap.feeds.opening import refuse_utf16
from endcap.feeds.record import ASK_AGAIN, Chunk, Header, Options, Unreadable, chunks, text_option
from endcap.feeds.values import listed, quoted, shown

OPTIONS: dict[str, str] = {
    "records": "Where the array of records lies, as a path with dots ('data.products'); left out when the array is the whole file.",
    "encoding": "The text encoding, utf-8 when left out.",
}
KINDS = frozenset({"json"})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SPACE = re.compile(r"[ \t\r\n]*")
ERROR_NAMES = ("error", "errors", "message", "detail", "fault")


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Cut the array into the bytes of its records; their insides are not looked at. Holds the whole file in memory.

    Raises Unreadable when the file is not one JSON value or has no array where it should be.
    """
    content = _as_utf8(stream.read(), text_option(options, "encoding", "utf-8"))
    yield from chunks(Header(), _array(content, text_option(options, "records", "")))


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One record as nested text."""
    return decode_object(raw)


def _as_utf8(content: bytes, encoding: str) -> bytes:
    refuse_utf16(content[: 1 << 16], encoding)
    content = content.removeprefix(BYTE_ORDER_MARK)
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        return content
    try:
        return content.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        raise Unreadable("bad_encoding", f"byte {error.start + 1} is not {encoding}", "correct options.encoding") from None


def _array(content: bytes, path: str) -> Iterator[bytes]:
    try:
        for step in filter(None, path.split(".")):
            names = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
            if step not in names:
                said = f"there is no {quoted(step)} on the way to the records; the object has {_some(names)}"
                raise Unreadable("no_records", said, "correct options.records")
            content = bytes(names[step])
        return map(bytes, msgspec.json.decode(content, type=list[msgspec.Raw]))
    except msgspec.ValidationError:
        raise _not_an_array(content) from None
    except (msgspec.DecodeError, RecursionError) as error:
        return _record_by_record(content, _plain(str(error)))


def _record_by_record(content: bytes, complaint: str) -> Iterator[bytes]:
    """The slow way, which lets a record with NaN or half a character through to be refused by itself."""
    text, scan = content.decode("latin-1"), json.JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode
    at, mark = _after_space(text, 0), "["
    try:
        while text[at : at + 1] == mark:
            start = _after_space(text, at + 1)
            _, end = scan(text, start)
            yield content[start:end]
            at, mark = _after_space(text, end), ","
    except (json.JSONDecodeError, RecursionError):
        at = len(text)
    if text[at : at + 1] != "]" or _after_space(text, at + 1) != len(text):
        raise Unreadable("broken_json", f"it is not one whole JSON value: {complaint}", ASK_AGAIN)


def _after_space(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at


def _not_an_array(content: bytes) -> Unreadable:
    try:
        names = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return Unreadable("no_records", "the records are not in a JSON array", "correct options.records")
    for name in ERROR_NAMES:
        if name in names and len(content) < 10_000:
            said = shown(bytes(names[name]).decode("utf-8", "replace"), 120)
            return Unreadable("error_message", f"it is an error message, not records: {name} {said}", ASK_AGAIN)
    return Unreadable("no_records", f"it is an object with {_some(names)}, not an array of records", "name the array's path in options.records")


def _some(names: Iterable[str]) -> str:
    return listed(names) or "no names"


def _plain(message: str) -> str:
    return "it ends too early" if "truncated" in message else message.removeprefix("JSON is malformed: ")


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (b'[{"id": 1, "price": 9.90, "ok": true, "none": null}]', {}, [{"id": "1", "price": "9.90", "ok": "true", "none": None}]),
    (b'{"data": {"items": [{"id": "a", "tags": [1, false]}]}}', {"records": "data.items"}, [{"id": "a", "tags": ["1", "false"]}]),
    (b'\xef\xbb\xbf[{"id": 12345678901234567890}]', {}, [{"id": "12345678901234567890"}]),
    (b'[{"id": 1, "id": 2}, {"id": 3}, 4]', {}, ["duplicate_name", {"id": "3"}, "not_an_object"]),
    (b'[{"id": "\\ud800"}, {"id": "\xff"}]', {}, ["half_character", "bad_encoding"]),
    (b'[{"id": NaN}, {"id": 2}]', {}, ["not_a_number", {"id": "2"}]),
    (b"[]", {}, []),
]
BROKEN: list[tuple[bytes, Options, str]] = [
    ('[{"id": 1}]'.encode("utf-16"), {}, "bad_encoding"),
    (b'[{"id": 1}, {"id"', {}, "broken_json"),
    (b'{"error": "no such token"}', {}, "error_message"),
    (b'{"rows": []}', {}, "no_records"),
    (b'{"rows": []}', {"records": "data"}, "no_records"),
    (b'[{"id": 1}, nonsense]', {}, "broken_json"),
    (b'[{"id": 1}] trailing', {}, "broken_json"),
]
