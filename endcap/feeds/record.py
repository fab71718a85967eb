"""What passes between a format and the reader: the header, chunks of raw records, and records that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

CHUNK_RECORDS = 10_000
ASK_AGAIN = "ask the supplier for the file again"
MAX_RECORD_BYTES = 1 << 20
Options = dict[str, str | int | bool]


class BadRecord(Exception):
    """One record cannot be read or breaks the contract: it goes to quarantine with a reason code and a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class Unreadable(Exception):
    """The delivery as a whole is not what it should be: nothing of it may be used. `code` is for machines, `reason` for people."""

    def __init__(self, code: str, reason: str, todo: str = "") -> None:
        self.code, self.reason, self.todo = code, reason, todo
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Header:
    """What all records of a delivery share. `columns` is empty where every record names its own fields."""

    columns: tuple[str, ...] = ()
    raw: bytes = b""  # hashed with every record: the same bytes under another header say something else
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Cut:
    """A record that the format could not cut out cleanly."""

    position: int
    raw: bytes
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to CHUNK_RECORDS records: raw bytes and their positions (from 1), and those that could not be cut."""

    header: Header
    records: list[bytes] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    unreadable: list[Cut] = field(default_factory=list)


def chunks(header: Header, cuts: Iterable[bytes | Cut]) -> Iterator[Chunk]:
    """Number the records from 1 and bundle them; at least one chunk comes, so that a header is seen even without records."""
    chunk = Chunk(header)
    for position, cut in enumerate(cuts, 1):
        if isinstance(cut, bytes):
            chunk.records.append(cut)
            chunk.positions.append(position)
        else:
            chunk.unreadable.append(Cut(position, cut.raw, cut.code, cut.reason))
        if len(chunk.records) + len(chunk.unreadable) == CHUNK_RECORDS:
            yield chunk
            chunk = Chunk(header)
    yield chunk


def text_option(options: Options, name: str, default: str) -> str:
    """An option as text."""
    return str(options.get(name, default))


def unique_names(names: list[str]) -> tuple[str, ...]:
    """Column names on one line each; an empty one is `column_3`, a second `price` is `price#2`."""
    found: dict[str, int] = {}
    result = []
    for number, name in enumerate(names, 1):
        name = " ".join(name.replace("\ufeff", "").split()) or f"column_{number}"
        found[name] = found.get(name, 0) + 1
        result.append(name if found[name] == 1 else f"{name}#{found[name]}")
    return tuple(result)
