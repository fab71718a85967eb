"""A place in a list that goes on where it was, in the very snapshot and search it began in; opaque to clients."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from endcap.problems import BadInput


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: the snapshot that it is read from, how many rows were before, and what was searched for."""

    snapshot_id: str | None
    offset: int
    search: tuple[str, ...]


def cursor_of(snapshot_id: str | None, offset: int, search: tuple[str, ...] = ()) -> str:
    """The text that a client sends back."""
    return base64.urlsafe_b64encode(json.dumps([snapshot_id, offset, *search], ensure_ascii=False).encode()).decode().rstrip("=")


def read_cursor(cursor: str, search: tuple[str, ...] = ()) -> Place:
    """What `cursor_of` was given. Raises BadInput on anything else, and where `search` is sent along and is another one; one of no words is none."""
    try:
        snapshot_id, offset, *words = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        known = (snapshot_id is None or isinstance(snapshot_id, str)) and type(offset) is int and 0 <= offset < 2**40
        known = known and len(words) == len(search) and all(isinstance(one, str) for one in words)
    except (ValueError, TypeError, binascii.Error):
        known = False
    if not known:
        raise BadInput("this is no cursor of ours", where="cursor", todo="send back `next` as it came, or begin without one")
    if any(search) and tuple(words) != search:
        raise BadInput("this cursor is of another search", where="cursor", todo="send back `next` of the answer to this search, or begin without one")
    return Place(snapshot_id, offset, tuple(words))
