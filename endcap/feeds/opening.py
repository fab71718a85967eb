"""Opening a delivery: unpacked as it is read, within its size budget, and checked to be what it claims to be before a format sees it."""

from __future__ import annotations

import gzip
import html
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

from endcap.feeds.record import ASK_AGAIN, Unreadable
from endcap.feeds.values import quoted, shown

HEAD_BYTES = 4096
MAX_RATIO = 200  # real feeds pack to a tenth or a thirtieth
RATIO_FROM_BYTES = 64 << 20
MOSTLY, HARDLY = 0.6, 0.05  # shares of NUL bytes by which UTF-16 without its mark is known
MAGIC: dict[bytes, str] = {
    b"%PDF": "pdf", b"\x89PNG": "image", b"\xff\xd8\xff": "image", b"GIF8": "image", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"PAR1": "parquet",
    b"\x1f\x8b": "gzip", b"\xd0\xcf\x11\xe0": "old Excel", b"7z\xbc\xaf": "archive", b"Rar!": "archive", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
WORDS: dict[str, str] = {
    "pdf": "a PDF document", "image": "an image", "zip": "a zip archive or Excel workbook", "parquet": "a Parquet file", "gzip": "a gzip file",
    "old Excel": "an Excel file of the old binary kind (.xls)", "archive": "an archive", "zstd": "a zstd file",
    "json": "JSON", "xml": "XML", "text": "plain text",
}  # fmt: skip
HTML_PAGE = re.compile(r"(?:\s|<!--.*?-->|<\?[^>]*>)*(?:<!doctype html|(?:<!doctype[^>]*>\s*)?<(?:html|head|body)\b)", re.I | re.S)
TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.I)


def sha256_of(file: Path) -> str:
    """Hex sha256 of the file as it lies there, packed or not."""
    digest = sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def opened(file: Path, kinds: frozenset[str], format_name: str, max_mbytes: int) -> Iterator[BinaryIO]:
    """The unpacked bytes of a delivery.

    `kinds` are the kinds of content (see kind_of) the format reads; empty lets anything pass. Raises Unreadable, also while
    reading, when the content is of another kind, larger than `max_mbytes`, or packed in a broken way.
    """
    with _unpacked(file, max_mbytes) as stream:
        _check(stream.read(HEAD_BYTES), kinds, format_name)
    with _unpacked(file, max_mbytes) as stream:
        yield stream


def kind_of(head: bytes) -> str:
    """What a file is by its first bytes: empty, html, json, xml, text, or one of MAGIC's kinds."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    start = _as_text(head).lstrip("\ufeff \t\r\n")
    if not start:
        return "empty"
    if HTML_PAGE.match(start):
        return "html"
    return {"<": "xml", "{": "json", "[": "json"}.get(start[0], "text")


def utf16_of(head: bytes) -> str | None:
    """Which UTF-16 a text is in ('utf-16' where it says so by its mark), None where it is in none: latin letters leave every second byte NUL."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[:HEAD_BYTES:2], head[1:HEAD_BYTES:2]
    if len(odd) < 2:
        return None
    nul_even, nul_odd = even.count(0) / len(even), odd.count(0) / len(odd)
    if max(nul_even, nul_odd) < MOSTLY or min(nul_even, nul_odd) > HARDLY:
        return None
    return "utf-16-le" if nul_odd > nul_even else "utf-16-be"


def refuse_utf16(head: bytes, encoding: str, todo: str = "") -> None:
    """Raises Unreadable where a text is UTF-16 and is to be read in an encoding of single bytes."""
    found = utf16_of(head)
    if found and not encoding.lower().replace("_", "-").startswith(("utf-16", "utf16", "utf-32", "utf32")):
        raise Unreadable("bad_encoding", f"it is UTF-16, not {encoding}", todo or f"set options.encoding to {found}")


def _as_text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    return head.decode("utf-8", "replace")


def _check(head: bytes, kinds: frozenset[str], format_name: str) -> None:
    kind = kind_of(head)
    if kind == "empty":
        raise Unreadable("empty", "it is empty", ASK_AGAIN)
    if kind == "html" and (kinds or format_name):
        title = TITLE.search(_as_text(head))
        named = f" titled {quoted(html.unescape(title[1]))}" if title else ""
        raise Unreadable("html_page", f"it is an HTML page{named}, not {format_name}", "look at what the supplier's address answers and fetch it again")
    if kinds and kind not in kinds:
        said = f" ({shown(_as_text(head), 80)})" if kind in ("json", "xml") else ""
        raise Unreadable("wrong_kind", f"it is {WORDS[kind]}{said}, not {format_name}", "correct the feed's format, or ask the supplier for the file again")


@contextmanager
def _unpacked(file: Path, max_mbytes: int) -> Iterator[BinaryIO]:
    if file.suffix.lower() != ".gz":
        if file.stat().st_size > max_mbytes << 20:
            raise _too_large(max_mbytes)
        with file.open("rb") as plain:
            yield plain
        return
    with gzip.open(file, "rb") as packed, io.BufferedReader(_Budgeted(cast(BinaryIO, packed), file.stat().st_size, max_mbytes), 1 << 18) as stream:
        yield cast(BinaryIO, stream)


class _Budgeted(io.RawIOBase):
    """Unpacked bytes, counted; what is wrong with the packing is said in words."""

    def __init__(self, packed: BinaryIO, packed_bytes: int, max_mbytes: int) -> None:
        self._packed, self._packed_bytes, self._max_mbytes = packed, packed_bytes, max_mbytes
        self._unpacked_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            part = self._packed.read(len(buffer))
        except EOFError:
            raise Unreadable("cut_short", "the .gz file is cut short", ASK_AGAIN) from None
        except (OSError, zlib.error) as error:
            raise Unreadable("broken_gzip", f"the .gz file is broken: {error}", ASK_AGAIN) from None
        self._unpacked_bytes += len(part)
        if self._unpacked_bytes > self._max_mbytes << 20:
            raise _too_large(self._max_mbytes)
        if self._unpacked_bytes > max(RATIO_FROM_BYTES, MAX_RATIO * self._packed_bytes):
            raise Unreadable("too_large", f"the .gz file unpacks to more than {MAX_RATIO} times its size", ASK_AGAIN)
        buffer[: len(part)] = part
        return len(part)


def _too_large(max_mbytes: int) -> Unreadable:
    return Unreadable("too_large", f"it is larger than {max_mbytes:,} MB unpacked", "raise guards.max_mbytes if that is right")
