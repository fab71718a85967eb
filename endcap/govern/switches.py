"""The kill switch: where the machine may not decide by itself, said by a person with a reason; it holds from the next decision on."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import insert, select

from endcap.decide.switched import newest_of, offers_in
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import check_person
from endcap.ops.tables import SWITCHES
from endcap.problems import BadInput

_SCOPE = re.compile(r"\*|(feed|supplier|category):\S.*")
_SHARE = re.compile(r"share:0\.\d*[1-9]\d*|share:1(\.0+)?")


def check_scope(scope: str, *, canary: bool = False) -> None:
    """Raise BadInput where a scope is not written as scopes are."""
    if not (_SCOPE.fullmatch(scope) or (canary and _SHARE.fullmatch(scope))) or len(scope) > 400:
        also = ", or share:0.05 for that share of the offers" if canary else ""
        raise BadInput(f"{scope[:80]!r} is no scope", where="scope", todo=f"write *, feed:NAME, supplier:NAME or category:PATH{also}")


def switch(home: Home, scope: str, *, automation: bool, actor: str, reason: str) -> dict[str, Any]:
    """Turn automation off or on in a scope; wider and narrower scopes keep theirs. Raises BadInput without a reason, or where nothing would change."""
    check_person(actor)
    check_scope(scope)
    check_known(home, scope)
    if not reason.strip():
        raise BadInput("a switch needs a reason", where="--reason", todo="say why; whoever finds the queue full will want to know")
    if in_force(home).get(scope, {"automation": True})["automation"] == automation:
        raise BadInput(f"automation is {'on' if automation else 'off'} for {scope} already", where="switch", todo="see `endcap switch list`")
    row = {"scope": scope, "automation": automation, "actor": actor, "reason": reason, "at": now()}
    with writing(home.engine) as connection:
        key = connection.execute(insert(SWITCHES).values(row)).inserted_primary_key
        sealed = audit.seals_of(connection, SWITCHES, SWITCHES.c.switch_id == (key[0] if key else 0))
        audit.record(connection, actor, "switch", scope, {"automation": automation, "reason": reason, "access": sealed})
    return row


def in_force(home: Home) -> dict[str, dict[str, Any]]:
    """The newest row of every scope that was ever switched."""
    with home.engine.connect() as connection:
        return newest_of([dict(row) for row in connection.execute(select(SWITCHES).order_by(SWITCHES.c.switch_id)).mappings()])


def check_known(home: Home, scope: str) -> None:
    """Raise BadInput where nothing is in a scope: a misspelt one would switch or try nothing, unseen."""
    kind, _colon, name = scope.partition(":")
    if kind == "feed" and name not in home.catalog.feeds:
        raise BadInput(f"there is no feed {name!r}", where="scope", todo=f"name one of {', '.join(sorted(home.catalog.feeds))}")
    if kind == "supplier" and name not in {feed.supplier or feed_name for feed_name, feed in home.catalog.feeds.items()}:
        raise BadInput(f"there is no supplier {name!r}", where="scope", todo="name one as the settings write it")
    if kind == "category":
        with home.connect() as con:
            known = offers_in(con, scope)
        if not known:
            raise BadInput(f"no offer is in the category {name!r}", where="scope", todo="write its path as products show it, levels joined by ' > '")
