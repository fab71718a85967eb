"""A place in a list that goes on where it was, in the very snapshot it began in; opaque to clients."""

from __future__ import annotations

import base64
import binascii
import json

from endcap.problems import BadInput


def cursor_of(snapshot_id: str | None, offset: int) -> str:
    """The text that a client sends back."""
    return base64.urlsafe_b64encode(json.dumps([snapshot_id, offset]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str | None, int]:
    """What `cursor_of` was given. Raises BadInput on anything else."""
    try:
        snapshot_id, offset = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        known = (snapshot_id is None or isinstance(snapshot_id, str)) and type(offset) is int and 0 <= offset < 2**40
    except (ValueError, TypeError, binascii.Error):
        known = False
    if not known:
        raise BadInput("this is no cursor of ours", where="cursor", todo="send back `next` as it came, or begin without one")
    return snapshot_id, offset
