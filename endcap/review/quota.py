"""How much one person may answer: so many a day, and a deed of very many answers only where a second person gives it as well (THREATS F12).

A person is counted under every name that is theirs, the tokens of their programs included.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from endcap.ops import audit
from endcap.ops.access import FIRST_WORD_DAYS, names_of
from endcap.ops.database import days_ago, now, writing
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, OVERRIDES
from endcap.problems import BadInput

BULK = "bulk"
# What makes two deeds the same.
TOLD = ("offer_id", "action", "product_id", "counterpart_offer_id", "field", "value")
# Whose team is the supplier of one of the offers that the answer is about: they judge their own goods, so that it teaches nothing.
OWN_GOODS = """
    SELECT v.override_id FROM overrides v JOIN offers o ON o.offer_id = v.offer_id WHERE lower(v.team) IN (lower(o.supplier), lower(o.feed))
    UNION SELECT v.override_id FROM overrides v JOIN offers o ON o.offer_id = v.counterpart_offer_id WHERE lower(v.team) IN (lower(o.supplier), lower(o.feed))
"""


class TooMuch(BadInput):
    """More than one person may do alone; nothing was stored."""


def check_allowed(home: Home, actor: str, rows: Sequence[Mapping[str, Any]], group_id: str | None = None, *, as_one: bool = False) -> None:
    """Raise TooMuch where these answers are more than the person may give: today, or as one deed without a second person.

    Answers are one deed where they share a group, or are said to be `as_one`. The first person's deed is noted: the second only has to give the
    same one, within FIRST_WORD_DAYS. What is stored under its key already is sent again, and counts once.
    """
    limits = home.catalog.govern
    with home.engine.connect() as connection:
        names, stored = names_of(connection, actor), _stored(connection, [str(row["key"]) for row in rows if row.get("key")])
        rows = [row for row in rows if row.get("key") not in stored]
        if not rows:
            return
        given = _given_today(connection, names)
        together = len(rows) + (_given_as(connection, group_id) if group_id else 0)
    if given + len(rows) > limits.answers_a_day:
        raise TooMuch(
            f"{actor} has given {given:,} answers today, and {len(rows):,} more are over {limits.answers_a_day:,}", where="govern.answers_a_day",
            todo="go on tomorrow, or have the limit raised in the settings",
        )  # fmt: skip
    if (group_id or as_one) and together > limits.bulk and not _seconded(home, actor, names, rows):
        todo = f"let another person give the same ones within {FIRST_WORD_DAYS} days, {actor}'s are noted"
        raise TooMuch(f"{together:,} answers at once take two people", where="govern.bulk", todo=todo)


def _stored(connection: Connection, keys: Sequence[str]) -> set[str | None]:
    """Those of the keys under which something is stored."""
    return set(connection.execute(select(OVERRIDES.c.key).where(OVERRIDES.c.key.in_(keys))).scalars()) if keys else set()


def _given_today(connection: Connection, names: set[str]) -> int:
    today = select(func.count()).select_from(OVERRIDES).where(OVERRIDES.c.actor.in_(names), OVERRIDES.c.at >= now()[:10], OVERRIDES.c.action != "undo")
    return connection.execute(today).scalar() or 0


def _given_as(connection: Connection, group_id: str) -> int:
    known = select(func.count()).select_from(OVERRIDES).where(OVERRIDES.c.group_id == group_id, OVERRIDES.c.action != "undo")
    return connection.execute(known).scalar() or 0


def _seconded(home: Home, actor: str, names: set[str], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether another person gave the same deed lately; where nobody did, this person's is noted."""
    told = sorted(json.dumps([row.get(name) for name in TOLD]) for row in rows)
    deed = hashlib.sha256("\n".join(told).encode()).hexdigest()
    with writing(home.engine) as connection:
        lately = (AUDIT.c.verb == BULK, AUDIT.c.object == deed, AUDIT.c.at >= days_ago(FIRST_WORD_DAYS))
        actors = set(connection.execute(select(AUDIT.c.actor).where(*lately)).scalars())
        if actors - names:
            return True
        if not actors:
            counts = Counter(str(row.get("action")) for row in rows)
            audit.record(connection, actor, BULK, deed, {"answers": len(rows), "actions": dict(sorted(counts.items()))})
    return False
