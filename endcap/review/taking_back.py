"""Taking back what a person said last, once however often it is asked under one key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from endcap.ops import audit
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review import blind
from endcap.review.lease import take_within
from endcap.review.override import undo_last

# The audit's word for it. Its rows are where a key is known from.
VERB = "take_back"
SHOWN = 100


@dataclass(frozen=True, slots=True)
class TakenBack:
    """How many answers, the offers of those about offers, and (product, field) of those about values."""

    count: int
    offers: list[str]
    values: list[list[str]]


@dataclass(frozen=True, slots=True)
class Reach:
    """What is still a person's to take back: of answers, and of offers that were asked blind."""

    answer: Callable[[int], bool]
    offers: blind.Mine


def take_back(home: Home, actor: str, *, key: str = "", offer_id: str | None = None, about: str = "", reach: Reach | None = None) -> TakenBack:
    """Take back the person's last answer, or their last one on a named offer, with all that were given as one with it.

    The first `SHOWN` of its offers are leased to the person, before whom they stand again. Sent again under its key it takes nothing more back
    and says the same. Raises BadInput for a key of something else.
    """
    asked = {"offer": offer_id, "about": about}
    with writing(home.engine) as connection:
        known = audit.lately(connection, actor, VERB, key) if key else None
        if known is not None and known["asked"] != asked:
            raise BadInput("this key was used for something else", where="idempotency key", todo="make a new key for every undo")
        if known is not None:
            return TakenBack(**known["done"])
        done = _take_back(connection, home, actor, offer_id, about, reach)
        take_within(connection, done.offers, actor, limit=SHOWN)
        if key:
            audit.record(connection, actor, VERB, key, {"asked": asked, "done": asdict(done)})
        return done


def _take_back(connection: Connection, home: Home, actor: str, offer_id: str | None, about: str, reach: Reach | None) -> TakenBack:
    if about in ("", "offers"):
        opened = blind.undo_blind(connection, home, actor, offer_id, about, reach.offers if reach else None)
        if opened is not None:
            return TakenBack(1, [opened.offer_id], [])
    undone = undo_last(home, actor=actor, offer_id=offer_id, about=about, reach=reach.answer if reach else None, within=connection)
    values = {(one.product_id or "", one.field): None for one in undone if one.field is not None}
    return TakenBack(len(undone), [one.offer_id for one in undone if one.field is None], [list(one) for one in values])
