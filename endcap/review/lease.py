"""Leases: an item that somebody is looking at is hidden from others for a while; a lease never blocks an answer."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.tables import LEASES

LEASE_S = 300.0


def hidden(home: Home, holder: str) -> dict[str, str]:
    """The offers that others are looking at now, with who does."""
    theirs = select(LEASES.c.offer_id, LEASES.c.holder).where(LEASES.c.holder != holder, LEASES.c.until > time.time())
    with home.engine.connect() as connection:
        return {row.offer_id: row.holder for row in connection.execute(theirs)}


def take(home: Home, offer_ids: Sequence[str], holder: str, *, limit: int, seconds: float = LEASE_S) -> list[str]:
    """Lease the first `limit` of the offers that nobody else holds, in their order, and return them."""
    with writing(home.engine) as connection:
        return take_within(connection, offer_ids, holder, limit=limit, seconds=seconds)


def take_within(connection: Connection, offer_ids: Sequence[str], holder: str, *, limit: int, seconds: float = LEASE_S) -> list[str]:
    """The same as part of a deed, so that nobody sees the offers free between the two."""
    moment = time.time()
    connection.execute(delete(LEASES).where(LEASES.c.until <= moment))
    held = {row.offer_id: row.holder for row in connection.execute(select(LEASES.c.offer_id, LEASES.c.holder))}
    taken = [offer_id for offer_id in offer_ids if held.get(offer_id, holder) == holder][:limit]
    if taken:
        connection.execute(delete(LEASES).where(LEASES.c.offer_id.in_(taken)))
        connection.execute(insert(LEASES), [{"offer_id": offer_id, "holder": holder, "until": moment + seconds} for offer_id in taken])
    return taken


def release(home: Home, holder: str, offer_ids: Sequence[str] | None = None) -> int:
    """Give leases back, all of the holder's where none are named; returns how many."""
    if offer_ids is not None and not offer_ids:
        return 0
    mine = delete(LEASES).where(LEASES.c.holder == holder)
    with writing(home.engine) as connection:
        return int(connection.execute(mine if offer_ids is None else mine.where(LEASES.c.offer_id.in_(list(offer_ids)))).rowcount)
