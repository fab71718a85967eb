"""A person lets a held delivery through; where it changes very many offers, a second one says so too (THREATS F12)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from endcap import schema
from endcap.feeds.preview import held_row
from endcap.ops import audit
from endcap.ops.access import FIRST_WORD_DAYS, names_of
from endcap.ops.database import days_ago, now, writing
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, RELEASES
from endcap.problems import BadInput

HOLD, RELEASE, ONE_OF_TWO = "hold", "release", "release, one of two"


def takes_two(home: Home, row: dict[str, Any]) -> bool:
    """Whether a held delivery changes or removes more offers than one person may let through alone."""
    return int(row["changed"] + row["vanished"]) > home.catalog.govern.bulk


def release_delivery(home: Home, feed: str, date: str, *, actor: str, reason: str) -> None:
    """Record that a held delivery may pass, byte for byte; the next run reads it again without the guards that compare shares.

    Raises BadInput when no such delivery is held, when nothing in it could be read as an offer, when it was released before, when a
    later one of the feed is in already, or when it takes two people and this is the first: that one is noted.
    """
    row, here = held_row(home, feed, date), f"feeds.{feed}"
    if not row["offers"]:
        what = f"{feed} {date} cannot be released, since no offer could be read from it"
        raise BadInput(what, where=here, todo="correct the feed's settings, or put a good delivery in its place; then run `endcap run`")
    rows = [one for one in home.lake().current(schema.Delivery).to_pylist() if one["feed"] == feed]
    later = [one["date"] for one in rows if one["state"] == "accepted" and one["date"] > date]
    if later:
        raise BadInput(f"{feed} has a later delivery already ({max(later)})", where=here, todo="an older one would undo it; leave it held")
    if not reason.strip():
        raise BadInput("a release needs a reason", where="--reason", todo="say why the delivery is right after all")
    with writing(home.engine) as connection:
        mine = (RELEASES.c.feed == feed, RELEASES.c.date == date)
        before = connection.execute(select(RELEASES.c.sha256).where(*mine)).first()
        if before is not None and before.sha256 == row["sha256"]:
            raise BadInput(f"{feed} {date} was released before", where=here, todo="run `endcap run`")
        alone = takes_two(home, row) and not _seconded(connection, row, actor, reason)
        if not alone:
            connection.execute(delete(RELEASES).where(*mine))  # of another file under this date
            connection.execute(insert(RELEASES).values(feed=feed, date=date, actor=actor, reason=reason, at=now(), sha256=row["sha256"]))
            sealed = audit.seals_of(connection, RELEASES, *mine)
            audit.record(connection, actor, RELEASE, f"{feed} {date}", {"reason": reason, "access": sealed})
    if alone:
        what = f"{row['changed'] + row['vanished']:,} offers that change or vanish at once take two people"
        todo = f"let another person release {feed} {date} too within {FIRST_WORD_DAYS} days, {actor}'s word is noted"
        raise BadInput(what, where="govern.bulk", todo=todo)


def noted_by(connection: Connection, row: dict[str, Any]) -> list[str]:
    """Who said of this held delivery, byte for byte, that it may pass, since it was last held again and within FIRST_WORD_DAYS."""
    name = f"{row['feed']} {row['date']}"
    about = (AUDIT.c.object.in_((name, f"{name} {row['sha256']}")), AUDIT.c.at >= days_ago(FIRST_WORD_DAYS))
    deeds = select(AUDIT.c.actor, AUDIT.c.verb, AUDIT.c.object).where(*about).order_by(AUDIT.c.audit_id)
    said: list[str] = []
    for deed in connection.execute(deeds):
        if deed.verb == HOLD:
            said = []
        elif deed.verb == ONE_OF_TWO and deed.object != name:
            said.append(deed.actor)
    return said


def _seconded(connection: Connection, row: dict[str, Any], actor: str, reason: str) -> bool:
    """Whether another person said before that it may pass; where not, this person's word is noted, once."""
    said, names = set(noted_by(connection, row)), names_of(connection, actor)
    if said - names:
        return True
    if not said:
        audit.record(connection, actor, ONE_OF_TWO, f"{row['feed']} {row['date']} {row['sha256']}", {"reason": reason})
    return False


def released_now(home: Home) -> set[tuple[str, str, str | None]]:
    """(feed, date, sha256) of every delivery that was let through. Read in a writer's turn: who takes a release back is either seen or sees the run."""
    with writing(home.engine) as connection:
        return {(row.feed, row.date, row.sha256) for row in connection.execute(select(RELEASES))}


def hold_again(home: Home, feed: str, date: str, *, actor: str, reason: str) -> None:
    """Take a release back before a run has taken the delivery in.

    Raises BadInput where nothing waits to be taken in, while a run may be taking it in, or without a reason.
    """
    if not reason.strip():
        raise BadInput("holding needs a reason", where="reason", todo="say why the delivery is wrong after all")
    with writing(home.engine) as connection:
        if home.is_being_written():
            raise BadInput(f"a run is under way and may be taking {feed} {date} in", where=f"feeds.{feed}", todo="look again when it is done")
        rows = home.lake().current(schema.Delivery).to_pylist()
        mine = (RELEASES.c.feed == feed, RELEASES.c.date == date)
        waits = connection.execute(select(RELEASES.c.feed).where(*mine)).first() is not None
        taken_in = any((row["feed"], row["date"], row["state"]) == (feed, date, "accepted") for row in rows)
        if not waits or taken_in:
            what = "is in the catalog already" if taken_in else "was not released"
            raise BadInput(f"{feed} {date} {what}", where=f"feeds.{feed}", todo="see the feed's deliveries")
        ended = dict.fromkeys(audit.seals_of(connection, RELEASES, *mine))
        connection.execute(delete(RELEASES).where(*mine))
        audit.record(connection, actor, HOLD, f"{feed} {date}", {"reason": reason, "access": ended})
