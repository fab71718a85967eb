"""Questions about products' values: doubtful categories, and what suppliers now say against a person's word.

One question a product and field, however many of its offers are in doubt; the answer is an override of the product's value.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, null, select

from endcap.decide.answers import ABOUT_FIELDS
from endcap.decide.fields import KIND
from endcap.ops import audit
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput
from endcap.review.override import SUPPLIERS, not_undone
from endcap.review.product import Actor, Outweighed, Shared, set_field, take_back
from endcap.review.quota import check_allowed
from endcap.review.shown import Tables
from endcap.review.together import check_group, check_over

KINDS = ("category", "value")
SET = "set"
MOST_OPTIONS = 9


@dataclass(frozen=True, slots=True)
class Option:
    """A value that may be right, with why it is offered."""

    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Question:
    """One product's field in doubt. The first option is what the machine, or the person before, says."""

    product_id: str
    field: str
    title: str
    offers: int
    supplier: str
    path: str | None  # the supplier's own category
    reason: str
    says: str | None  # what the suppliers say now
    override_id: int | None  # the person's word that the suppliers contradict
    options: list[Option]
    group: str  # questions that one answer may settle
    evidence: str


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A person's answer to a question, as it comes from a page or a program; `key` makes sending twice harmless."""

    key: str
    product_id: str
    field: str
    action: str
    value: str | None = None
    override_id: int | None = None
    group_id: str | None = None
    note: str = ""
    over: int | None = None


@dataclass(frozen=True, slots=True)
class ValueOutcome:
    """What became of an answer: stored, repeated, conflict (another person's word since the snapshot stands), outweighed or gone."""

    key: str
    state: str
    override_id: int | None
    value: str | None
    actor: str


_CATEGORIES = """
    SELECT d.product_id, p.title, p.offers, p.category, o.supplier, o.category_path, c.value, c.confidence
    FROM decisions c JOIN decisions d ON d.offer_id = c.offer_id AND d.kind = 'product' JOIN offers o ON o.offer_id = c.offer_id
    JOIN products p ON p.product_id = d.product_id
    WHERE c.kind = 'category' AND c.action = 'to_review' AND p.state = 'live' AND {within}
    ORDER BY (1 - c.confidence) * ln(2 + p.offers) DESC, d.product_id, c.offer_id
"""
_SURE_BY_PATH = """
    SELECT o.supplier, o.category_path, c.value, count(*) AS n
    FROM decisions c JOIN offers o ON o.offer_id = c.offer_id
    WHERE c.kind = 'category' AND c.action = 'accepted' AND o.category_path IS NOT NULL GROUP BY ALL ORDER BY n DESC, c.value
"""
_CONTRADICTED = """
    SELECT d.product_id, p.title, p.offers, d.kind, d.value, d.reason, d.override_id, o.supplier, o.category_path, v.value AS said_by_person
    FROM decisions d JOIN products p ON p.product_id = d.product_id AND p.state = 'live' JOIN offers o ON o.offer_id = d.offer_id
    JOIN overrides v ON v.override_id = d.override_id
    WHERE starts_with(d.kind, '{kind}') AND d.action = 'to_review' AND {within} ORDER BY p.offers DESC, d.product_id, d.kind
"""


def questions(tables: Tables, kind: str, within: tuple[str, Sequence[Any]] = ("TRUE", ())) -> list[Question]:
    """Every open question of a kind ('category' or 'value'), the costliest doubt first. Raises BadInput for another kind.

    `within` is a condition on `d.product_id` and its values (see review/reach.py).
    """
    if kind not in KINDS:
        raise BadInput(f"there are no questions about {kind!r}", where="review", todo=f"use {', '.join(KINDS)}")
    if kind == "category":
        return _categories(tables, *within)
    return [_contradicted(row) for row in tables.rows(_CONTRADICTED.format(kind=KIND, within=within[0]), within[1])]


def still_open(home: Home, asked: Sequence[Question], taken_in: int) -> list[Question]:
    """Those that nobody answered since override `taken_in`, the last one that the snapshot knows of."""
    with home.engine.connect() as connection:
        answered = {(row.product_id, row.field) for row in _since(connection, taken_in)}
    return [one for one in asked if (one.product_id, one.field) not in answered]


def give_values(
    home: Home, tables: Tables, given: Sequence[GivenValue], by: Actor, taken_in: int, roles: Sequence[str | None] | None = None
) -> list[ValueOutcome]:
    """Store answers in one durable transaction, each once; one that meets another person's word is not stored but says so.

    `roles` gives the person's role for each answer, where that is not one for all; what they have none for is gone to them.
    Raises BadInput for an unknown action, a value that cannot be, or more answers than one person may give, and then stores none.
    """
    asked = list(zip(given, roles or [by.role] * len(given), strict=True))
    mine = [one for one, role in asked if role is not None]
    for group_id in dict.fromkeys(one.group_id for one in mine):
        rows = [{**asdict(one), "offer_id": None} for one in mine if one.group_id == group_id]
        check_allowed(home, by.name, rows, group_id)
    with writing(home.engine) as connection:
        return [_gone(one, by.name) if role is None else _give(home, tables, one, Actor(by.name, role), taken_in, connection) for one, role in asked]


def _gone(one: GivenValue, name: str) -> ValueOutcome:
    return ValueOutcome(one.key, "gone", None, one.value, name)


def _give(home: Home, tables: Tables, one: GivenValue, by: Actor, taken_in: int, within: Connection) -> ValueOutcome:
    if (one.action == SUPPLIERS and one.override_id is None) or (one.action == SET and not one.value) or one.action not in (SET, SUPPLIERS):
        raise BadInput(f"{one.action!r} says nothing of {one.field}", where=one.product_id, todo="send `set` with a value, or `suppliers` with the override_id")
    if not tables.rows("SELECT 1 AS one FROM products WHERE product_id = ? AND state = 'live'", [one.product_id]):
        return _gone(one, by.name)

    def free(connection: Connection) -> None:
        _refuse_used(connection, one, by)
        check_group(connection, one.group_id, by.name, one.field, one.value)
        check_over(connection, one.over, product_id=one.product_id, field=one.field)
        _refuse_other(connection, one, by, taken_in)
        _check_asked(connection, tables, one)
        _refuse_withdrawn(connection, one)

    try:
        if one.action == SUPPLIERS:
            if one.over is not None and one.over != one.override_id and _stands(within, one.over):  # else the word overruled would hold in its stead
                take_back(home, one.over, by, only_if=free, reason_code=SUPPLIERS, alone=True, within=within)
            deed = take_back(home, int(one.override_id or 0), by, only_if=free, reason_code=SUPPLIERS, within=within)
            audit.record(within, by.name, SUPPLIERS, one.key, {"of": one.override_id})
        else:
            deed = set_field(
                home, tables, one.product_id, one.field, one.value or "", by, key=one.key, note=one.note, together=one.group_id, only_if=free,
                shared=_was_said(within, one), within=within,
            )  # fmt: skip
    except _Met as met:
        return ValueOutcome(one.key, met.state, met.override_id, met.value, met.actor or by.name)
    except Shared as other:
        raise BadInput(str(other), where=f"/p/{other.product_id}", todo="merge the two, or set it on the product's own page") from None
    except Outweighed:
        return ValueOutcome(one.key, "outweighed", one.override_id, one.value, by.name)
    return ValueOutcome(one.key, "repeated" if deed.repeated else "stored", deed.override_ids[-1], one.value if one.action == SET else None, by.name)


def _stands(connection: Connection, override_id: int) -> bool:
    return connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.override_id == override_id, not_undone())).first() is not None


def _was_said(connection: Connection, one: GivenValue) -> bool:
    """Whether the answer lets a person's own word hold: what that one knew is not asked again."""
    if one.override_id is None:
        return False
    said = connection.execute(select(OVERRIDES.c.value, OVERRIDES.c.field).where(OVERRIDES.c.override_id == one.override_id)).first()
    return said is not None and (said.value, said.field) == (one.value, one.field)


class _Met(Exception):
    """Another answer is there before this one."""

    def __init__(self, state: str, override_id: int, value: str | None = None, actor: str = "") -> None:
        self.state, self.override_id, self.value, self.actor = state, override_id, value, actor


def _refuse_used(connection: Connection, one: GivenValue, by: Actor) -> None:
    """Raise BadInput where the key is another answer's: what lets the suppliers' word stand is stored under none, and known from the audit."""
    known = audit.lately(connection, by.name, SUPPLIERS, one.key)
    mine = known is not None and one.action == SUPPLIERS and known["of"] == one.override_id
    stored = one.action == SUPPLIERS and connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.key == one.key)).first() is not None
    if stored or (known is not None and not mine):
        raise BadInput("this key was used for something else", where="key", todo="make a new key for every answer")


def _check_asked(connection: Connection, tables: Tables, one: GivenValue) -> None:
    """Raise BadInput where the word that was asked about is not there, or is about another field or product."""
    if one.override_id is None:
        return
    about = connection.execute(select(OVERRIDES.c.offer_id, OVERRIDES.c.field).where(OVERRIDES.c.override_id == one.override_id)).first()
    here = "SELECT 1 AS one FROM decisions WHERE kind = 'product' AND offer_id = ? AND product_id = ?"
    if about is None or about.field != one.field or not tables.rows(here, [about.offer_id, one.product_id]):
        raise BadInput(f"answer {one.override_id} is not about the {one.field} of this product", where=one.product_id, todo="ask for the next questions again")


def _refuse_withdrawn(connection: Connection, one: GivenValue) -> None:
    """What lets the suppliers' word stand has no key of its own: that the person's word is taken back already tells that it was sent before."""
    if one.action != SUPPLIERS:
        return
    undone = connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.undoes == one.override_id)).scalar()
    if undone is not None:
        raise _Met("repeated", undone)


def _refuse_other(connection: Connection, one: GivenValue, by: Actor, taken_in: int) -> None:
    """Raise _Met where another person's word stands that the sender may not have seen: since the last run, or before it to the contrary."""
    other = next((row for row in _since(connection, taken_in) if (row.product_id, row.field) == (one.product_id, one.field)), None)
    other = other or _standing(connection, one)
    if other is not None and other.actor != by.name and other.override_id != one.over:
        raise _Met("conflict", other.override_id, other.value, other.actor)


def _standing(connection: Connection, one: GivenValue) -> Any:
    """The word that holds of this field, where it is another one than this and not the one that was asked about."""
    said = select(OVERRIDES).where(OVERRIDES.c.product_id == one.product_id, OVERRIDES.c.field == one.field, OVERRIDES.c.action.in_(ABOUT_FIELDS), not_undone())
    newest = connection.execute(said.order_by(OVERRIDES.c.override_id.desc()).limit(1)).first()
    return None if newest is None or one.action == SUPPLIERS or newest.override_id == one.override_id or newest.value == one.value else newest


def _since(connection: Connection, taken_in: int) -> list[Any]:
    """Standing answers about fields after an override, the newest first, and the undos of earlier ones."""
    wanted = (OVERRIDES.c.override_id, OVERRIDES.c.product_id, OVERRIDES.c.field, OVERRIDES.c.value, OVERRIDES.c.actor, OVERRIDES.c.key)
    after, about = OVERRIDES.c.override_id > taken_in, OVERRIDES.c.field.is_not(None)
    said = select(*wanted).where(after, about, OVERRIDES.c.action.in_(ABOUT_FIELDS), not_undone())
    # An undo of what the snapshot knew lets the suppliers' word stand: that too settles a question. Of a later answer it opens it again.
    of_suppliers = (null().label("value") if column is OVERRIDES.c.value else column for column in wanted)
    withdrawn = select(*of_suppliers).where(after, about, OVERRIDES.c.undoes <= taken_in)
    return sorted([*connection.execute(said).all(), *connection.execute(withdrawn).all()], key=lambda row: -row.override_id)


def _categories(tables: Tables, within: str, values: Sequence[Any]) -> list[Question]:
    sure: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for row in tables.rows(_SURE_BY_PATH):
        sure.setdefault((row["supplier"], row["category_path"]), []).append((row["value"], row["n"]))
    together: dict[str, list[dict[str, Any]]] = {}
    for row in tables.rows(_CATEGORIES.format(within=within), values):
        together.setdefault(row["product_id"], []).append(row)
    return [_doubtful(rows, sure) for rows in together.values()]


def _doubtful(rows: list[dict[str, Any]], sure: dict[tuple[str, str], list[tuple[str, int]]]) -> Question:
    first = rows[0]
    words = {first["value"]: "the machine's guess"}  # not how sure it is: whoever knows no longer judges for themselves
    for row in rows[1:]:
        words.setdefault(row["value"], f"read from {row['supplier']}")
    if first["category"]:
        words.setdefault(first["category"], "served now")
    for value, count in sure.get((first["supplier"], first["category_path"] or ""), []):
        words.setdefault(value, f"{count} of this supplier's path are there")
    doubts = Counter(row["supplier"] for row in rows)
    told = f"{', '.join(sorted(doubts))} {'says' if len(doubts) == 1 else 'say'} {first['category_path'] or 'nothing of it'}"
    options = [Option(value, why) for value, why in list(words.items())[:MOST_OPTIONS]]
    return Question(
        first["product_id"], "category", first["title"], first["offers"], first["supplier"], first["category_path"], told, first["value"], None, options,
        " · ".join([first["supplier"], first["category_path"] or "no path", first["value"]]), _hash([first["product_id"], *words]),
    )  # fmt: skip


def _contradicted(row: dict[str, Any]) -> Question:
    field = row["kind"].removeprefix(KIND)
    options = [Option(row["said_by_person"], "the person's word")] + ([Option(row["value"], "the suppliers' now")] if row["value"] else [])
    return Question(
        row["product_id"], field, row["title"], row["offers"], row["supplier"], row["category_path"], row["reason"], row["value"], row["override_id"], options,
        " · ".join([field, str(row["said_by_person"]), str(row["value"])]), _hash([row["product_id"], field, row["value"], row["override_id"]]),
    )  # fmt: skip


def _hash(told: list[Any]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
