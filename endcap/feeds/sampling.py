"""What a sample tells of how a delivery is written: format, encoding, delimiter, where its records lie."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from endcap import shelf
from endcap.feeds.opening import WORDS, kind_of, utf16_of
from endcap.feeds.record import ASK_AGAIN, Unreadable
from endcap.feeds.values import quoted

SAMPLE_BYTES = 1 << 18
DELIMITERS = (",", ";", "\t", "|")
LINES_SUFFIXES = (".jsonl", ".ndjson")
BY_KIND = {"text": "csv", "xml": "xml", "parquet": "parquet", "zip": "xlsx"}
OPENING_TAG = re.compile(r"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
PREFERRED_RECORDS = ("item", "entry", "SHOPITEM", "product", "offer", "row")
DEEPEST_RECORDS = 4
CLEARLY_BETTER = 0.02


def format_and_options(file: Path, notes: list[str]) -> tuple[str, dict[str, str | int | bool]]:
    """The format's name and its options. Raises Unreadable where nothing on the shelf fits."""
    head = _head(file)
    kind = kind_of(head)
    name = BY_KIND.get(kind)
    if kind == "json":
        name = "jsonl" if _is_lines(head) or file.name.lower().removesuffix(".gz").endswith(LINES_SUFFIXES) else "json"
    if name is None:
        what = {"html": "an HTML page, which no format reads", "empty": "empty"}.get(kind, f"{WORDS.get(kind, kind)}, which no format reads")
        raise Unreadable("wrong_kind", f"it is {what}", "name a delivery in one of " + ", ".join(shelf.names("formats")))
    told = {"csv": _csv, "json": _json, "jsonl": _nothing, "xml": _xml}.get(name, _nothing)
    return name, told(head, file, notes)


def _head(file: Path) -> bytes:
    try:
        with gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb") as stream:
            return bytes(stream.read(SAMPLE_BYTES))
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable("broken_gzip", f"it cannot be unpacked: {error}", ASK_AGAIN) from None


def _nothing(head: bytes, file: Path, notes: list[str]) -> dict[str, str | int | bool]:
    return {}


def _is_lines(head: bytes) -> bool:
    """Several lines that are objects by themselves."""
    lines = [line for line in head.splitlines()[:3] if line.strip()]
    return len(lines) > 1 and all(line.strip().startswith(b"{") and line.strip().endswith(b"}") for line in lines)


def encoding_of(head: bytes, notes: list[str]) -> str:
    """By its mark, else UTF-8 where every byte agrees, else what charset-normalizer takes for likely."""
    if utf16 := utf16_of(head):
        return utf16
    whole_lines = head[: head.rfind(b"\n") + 1] or head
    try:
        whole_lines.decode()
        return "utf-8"
    except UnicodeDecodeError:
        encoding = _likely(whole_lines)
        notes.append(f"the text is not UTF-8 and looks like {encoding}: check a title with an accent")
        return encoding


def _likely(text: bytes) -> str:
    """cp1252 is by far the most common; another encoding must make clearly better sense of the text."""
    from charset_normalizer import from_bytes

    found = from_bytes(text, cp_isolation=["cp1252", "cp1250", "cp1251", "shift_jis", "gb18030", "iso8859_2", "iso8859_15"])
    mess = {match.encoding: match.chaos for match in found}
    for match in found:
        mess.update(dict.fromkeys(match.could_be_from_charset, match.chaos))
    best = found.best()
    if best is None or mess.get("cp1252", 1.0) <= best.chaos + CLEARLY_BETTER:
        return "cp1252"
    return best.encoding


def _csv(head: bytes, file: Path, notes: list[str]) -> dict[str, str | int | bool]:
    options: dict[str, str | int | bool] = {}
    encoding = encoding_of(head, notes)
    if encoding != "utf-8":
        options["encoding"] = encoding
    lines = head.decode(encoding, "replace").lstrip("\ufeff").splitlines(keepends=True)[:200]
    delimiter, widths = max(((mark, _widths(lines, mark)) for mark in DELIMITERS), key=lambda found: _evenness(found[1]))
    usual = Counter(widths).most_common(1)[0][0] if widths else 1
    if usual == 1:
        raise Unreadable("one_column", "no delimiter splits it into columns", "say how it is delimited with options.delimiter")
    if delimiter != ",":
        options["delimiter"] = "tab" if delimiter == "\t" else delimiter
    header_row = next(number for number, width in enumerate(widths, 1) if width == usual)
    if header_row > 1:
        options["header_row"] = header_row
        notes.append(f"the column names are taken from line {header_row}")
    return options


def _widths(lines: list[str], delimiter: str) -> list[int]:
    try:
        return [len(row) for row in csv.reader(lines[:-1] or lines, delimiter=delimiter)]
    except csv.Error:
        return []


def _evenness(widths: list[int]) -> float:
    """How many cells lie in rows of the usual width above one."""
    usual, count = Counter(widths).most_common(1)[0] if widths else (1, 0)
    return (count / len(widths)) * usual if usual > 1 else 0.0


def _json(head: bytes, file: Path, notes: list[str]) -> dict[str, str | int | bool]:
    utf16 = utf16_of(head)
    options: dict[str, str | int | bool] = {"encoding": utf16} if utf16 else {}
    start = head[: len(head) // 2 * 2].decode(utf16, "replace").lstrip("\ufeff") if utf16 else head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if start.lstrip().startswith("["):
        return options
    with gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb") as stream:
        try:
            path = _path_of_records(json.loads(stream.read()))
        except (ValueError, RecursionError):
            raise Unreadable("broken_json", "it is not one whole JSON value", ASK_AGAIN) from None
    if path is None:
        raise Unreadable("no_records", "it holds no array of records", ASK_AGAIN)
    return {**options, "records": path}


def _path_of_records(value: Any, before: str = "", depth: int = 0) -> str | None:
    """The path of the first array of objects, the shallowest first."""
    if not isinstance(value, dict) or depth > DEEPEST_RECORDS:
        return None
    for name, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            return before + name
    return next((path for name, item in value.items() if (path := _path_of_records(item, f"{before}{name}.", depth + 1))), None)


def _xml(head: bytes, file: Path, notes: list[str]) -> dict[str, str | int | bool]:
    """The record element: a usual name, else the first element that comes again and again and holds others."""
    text = head.decode("utf-8", "replace")
    counts = Counter(match[2] for match in OPENING_TAG.finditer(text))
    for usual in PREFERRED_RECORDS:
        found = next((name for name in counts if name.casefold() == usual.casefold()), None)
        if found:
            return {} if found == "item" else {"record": found}
    repeated = next((name for name, count in counts.items() if count > 1), None)
    if repeated is None:
        raise Unreadable("no_records", "no element of it comes more than once", "name the element of one record in options.record")
    notes.append(f"each element {quoted(repeated)} is taken for one record")
    return {"record": repeated}
