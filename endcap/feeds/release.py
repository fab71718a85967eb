"""A person lets a held delivery through."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from endcap import schema
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import RELEASES
from endcap.problems import BadInput


def release_delivery(home: Home, feed: str, date: str, *, actor: str, reason: str) -> None:
    """Record that a held delivery may pass; the next run reads it again without the guards that compare shares.

    Raises BadInput when no such delivery is held, when nothing in it could be read as an offer, when it was released before, or when a
    later one of the feed is in already.
    """
    rows = [row for row in home.lake().current(schema.Delivery).to_pylist() if row["feed"] == feed]
    held = sorted(row["date"] for row in rows if row["state"] == "held")
    if date not in held:
        raise BadInput(f"no delivery {feed} {date} is held", where=str(home.path), todo=f"held ones: {', '.join(held) or 'none'}")
    if not next(row["offers"] for row in rows if row["state"] == "held" and row["date"] == date):
        what = f"{feed} {date} cannot be released, since no offer could be read from it"
        raise BadInput(what, where=str(home.path), todo="correct the feed's settings, or put a good delivery in its place; then run `endcap run`")
    later = [row["date"] for row in rows if row["state"] == "accepted" and row["date"] > date]
    if later:
        raise BadInput(f"{feed} has a later delivery already ({max(later)})", where=str(home.path), todo="an older one would undo it; leave it held")
    if not reason.strip():
        raise BadInput("a release needs a reason", where="--reason", todo="say why the delivery is right after all")
    with writing(home.engine) as connection:
        if connection.execute(select(RELEASES.c.feed).where(RELEASES.c.feed == feed, RELEASES.c.date == date)).first() is not None:
            raise BadInput(f"{feed} {date} was released before", where=str(home.path), todo="run `endcap run`")
        connection.execute(insert(RELEASES).values(feed=feed, date=date, actor=actor, reason=reason, at=now()))
        audit.record(connection, actor, "release", f"{feed} {date}", {"reason": reason})


def released_now(home: Home) -> set[tuple[str, str]]:
    """(feed, date) of every delivery that was let through. Read in a writer's turn: who takes a release back is either seen or sees the run."""
    with writing(home.engine) as connection:
        return {(row.feed, row.date) for row in connection.execute(select(RELEASES.c.feed, RELEASES.c.date))}


def hold_again(home: Home, feed: str, date: str, *, actor: str, reason: str) -> None:
    """Take a release back before a run has taken the delivery in.

    Raises BadInput where nothing waits to be taken in, while a run may be taking it in, or without a reason.
    """
    if not reason.strip():
        raise BadInput("holding needs a reason", where="reason", todo="say why the delivery is wrong after all")
    with writing(home.engine) as connection:
        if home.is_being_written():
            raise BadInput(f"a run is under way and may be taking {feed} {date} in", where=str(home.path), todo="look again when it is done")
        rows = home.lake().current(schema.Delivery).to_pylist()
        mine = (RELEASES.c.feed == feed, RELEASES.c.date == date)
        waits = connection.execute(select(RELEASES.c.feed).where(*mine)).first() is not None
        taken_in = any((row["feed"], row["date"], row["state"]) == (feed, date, "accepted") for row in rows)
        if not waits or taken_in:
            what = "is in the catalog already" if taken_in else "was not released"
            raise BadInput(f"{feed} {date} {what}", where=str(home.path), todo="see the feed's deliveries")
        connection.execute(delete(RELEASES).where(*mine))
        audit.record(connection, actor, "hold", f"{feed} {date}", {"reason": reason})
