"""What a person does to a product: set or lock one of its values, split offers off it, merge it into another.

Everything is stored as overrides, those of one deed under one group, so that one undo takes all of it back. A split or a merge is said
between offers: products come and go with the clusters, and what a person said of two offers stays (promise P4).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import product as pairs_of
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from endcap import gtin, shelf
from endcap.decide.answers import APART, LOCK, PLACED, SET, TOGETHER, WEIGHT, outweighs
from endcap.decide.identity import new_product_id
from endcap.decide.in_force import Kept, at_snapshot
from endcap.infer.taxonomy import read_taxonomy
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput
from endcap.review.override import append, not_undone
from endcap.review.quota import check_allowed
from endcap.review.shown import Tables
from endcap.units import find_quantities

STATED_FIELDS = ("title", "gtin", "mpn")
MOST_OFFERS, MOST_ROWS, MOST_CHARACTERS, MOST_IN_PACK = 200, 2000, 500, 10_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and what that one may."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Deed:
    """What was stored: the group that one undo takes back, its overrides, and whether it had been stored before under the same key."""

    group_id: str
    override_ids: tuple[int, ...]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What a split or merge would do at the next run: products with the offers they would have."""

    product_id: str  # the one that stays
    other_id: str  # the new one, or the one that ends
    offers: int  # of the one that stays
    other_offers: int  # that move
    samples: tuple[str, ...]  # titles of offers that move
    contradictions: tuple[str, ...]  # earlier answers that say otherwise, in words


class Outweighed(Exception):
    """Somebody whose word counts more has decided this field."""


class Shared(Exception):
    """Another product has this GTIN already: `product_id`, with its title."""

    def __init__(self, value: str, product_id: str, title: str) -> None:
        self.value, self.product_id, self.title = value, product_id, title
        super().__init__(f"the GTIN {value} is that of “{title}” too")


class Changed(Exception):
    """The product is another by now than the one that the person saw."""


# Asked in the very transaction that stores, so that nothing comes between the question and the answer; it raises where nothing is to be stored.
Check = Callable[[Connection], None]


def fields() -> tuple[str, ...]:
    """The fields of a product that a person can set."""
    return (*STATED_FIELDS, *shelf.names("attributes"))


def version_of(home: Home, tables: Tables, product_id: str) -> str:
    """Short text that changes with every run or answer that touches the product. Raises BadInput where there is no such live product."""
    row, about = _live(tables, product_id), _about(tables, product_id)
    with home.engine.connect() as connection:
        return _version(connection, row, about)


def unchanged_since(tables: Tables, product_id: str, version: str) -> Check:
    """The check that a product's version is still this one. It raises Changed."""
    row, about = _live(tables, product_id), _about(tables, product_id)

    def check(connection: Connection) -> None:
        if _version(connection, row, about) != version:
            raise Changed(f"{product_id} was changed meanwhile; look again")

    return check


def set_field(
    home: Home, tables: Tables, product_id: str, field: str, value: str, by: Actor, *, key: str, lock: bool = False, note: str = "", until: str | None = None,
    together: str | None = None, only_if: Check | None = None, shared: bool = False, within: Connection | None = None,
) -> Deed:  # fmt: skip
    """Store that a field of a product is `value`, whatever the suppliers say until they say something new; a lock holds beyond that.

    `together` names the group of answers that one undo takes back, where this is one of several; `shared` says that a GTIN which another product has
    is meant all the same. `within` is a writer's transaction of which this is a part: whoever opened it asked how much a person may answer.
    Raises BadInput for an unknown field or a value that cannot be, what `only_if` raises, Outweighed where a lead's word or a lock stands and `by` is no
    lead, and Shared.
    """
    row = _live(tables, product_id)
    value = _checked(home, field, value)
    _check_until(tables, until)
    if lock and WEIGHT.get(by.role, 0) < WEIGHT["lead"]:
        raise Outweighed(f"only a lead locks a value; {by.name} is {by.role}")
    said = _said(home, tables, product_id, field, row)
    stored = {
        "offer_id": row["founded_by"], "action": LOCK if lock else SET, "product_id": product_id, "counterpart_offer_id": None, "reason_code": "", "note": note,
        "undoes": None, "identity_hash": 0, "field": field, "value": value, "said": said, "until": until,
    }  # fmt: skip
    checks = [*_given(only_if), _not_outweighed(product_id, field, by, lock=lock)]
    if field == "gtin" and not shared:
        checks.append(_not_shared(tables, product_id, value))
    return _store(home, [stored], by, key, checks, together, within)


def split(home: Home, tables: Tables, product_id: str, offer_ids: Sequence[str], by: Actor, *, key: str, note: str = "", only_if: Check | None = None) -> Deed:
    """Store that these offers are a product of their own.

    Raises BadInput where they are not some, but not all, of the product's, and Outweighed where a lead said that they belong there and `by` is no lead.
    """
    leaving, staying = _parted(tables, product_id, offer_ids)
    identity = _identities(tables, [*leaving, *staying])
    own = new_product_id(leaving[0], {one["product_id"] for one in tables.rows("SELECT product_id FROM products")})
    apart = [(one, other) for one, other in pairs_of(leaving, staying)][:MOST_ROWS]
    rows = [_row("different", one, other, product_id, identity, note) for one, other in apart if (one, other) != (leaving[0], staying[0])]
    rows.append(_row("new", leaving[0], staying[0], product_id, identity, note))
    rows += [_row("same", one, leaving[0], own, identity, note) for one in leaving[1:]]
    brought = _nothing_brought(leaving, product_id, by, home.manifest(tables.snapshot_id).override_sequence)
    return _store(home, rows, by, key, [*_given(only_if), _nothing_heavier(rows, by), brought])


def merge(home: Home, tables: Tables, product_id: str, into: str, by: Actor, *, key: str, note: str = "", only_if: Check | None = None) -> Deed:
    """Store that all offers of a product belong to another one.

    Raises BadInput where one of the two is not live, or they are one, or where a split of one waits for the next run, and Outweighed where a lead kept
    them apart and `by` is no lead.
    """
    _check_two(tables, product_id, into)
    moving, there = _offers_of(tables, product_id), _offers_of(tables, into)
    anchor = there[0]
    if len(moving) > MOST_OFFERS:
        raise BadInput(f"{product_id} has {len(moving):,} offers", where="merge", todo=f"merge the smaller product; at most {MOST_OFFERS} offers move at once")
    identity = _identities(tables, [*moving, anchor])
    rows = [_row("same", one, anchor, into, identity, note) for one in moving]
    taken_in = home.manifest(tables.snapshot_id).override_sequence
    whole = [_not_parting(moving, product_id, taken_in), _not_parting(there, into, taken_in)]
    return _store(home, rows, by, key, [*_given(only_if), *whole, _nothing_heavier(rows, by)])


def effect_of_split(tables: Tables, product_id: str, offer_ids: Sequence[str]) -> Effect:
    """What `split` would do."""
    leaving, staying = _parted(tables, product_id, offer_ids)
    own = new_product_id(leaving[0], {one["product_id"] for one in tables.rows("SELECT product_id FROM products")})
    return Effect(product_id, own, len(staying), len(leaving), _titles(tables, leaving), _contradictions(tables, leaving, leaving, ("different", "new")))


def effect_of_merge(tables: Tables, product_id: str, into: str) -> Effect:
    """What `merge` would do."""
    _check_two(tables, product_id, into)
    moving, there = _offers_of(tables, product_id), _offers_of(tables, into)
    first = there[:MOST_OFFERS]
    kept_apart = [said for group in ((moving, there), (moving, moving), (first, first)) for said in _contradictions(tables, *group, ("different", "new"))]
    return Effect(into, product_id, len(there), len(moving), _titles(tables, moving), tuple(dict.fromkeys(kept_apart)))


def nothing_to_take_back(override_id: int) -> BadInput:
    """What is said of an answer that is not there, and of one that is not this person's to take back."""
    return BadInput(f"answer {override_id} cannot be taken back: it is taken back already, or not there", where="review", todo="see the history")


def take_back(
    home: Home, override_id: int, by: Actor, *, only_if: Check | None = None, reason_code: str = "", alone: bool = False, within: Connection | None = None
) -> Deed:
    """Undo an answer, with all that were given as one with it or `alone`; the code says what for, `within` is as `set_field` has it.

    Raises BadInput where there is nothing to undo, Outweighed as `set_field`.
    """
    snapshot = home.snapshot()
    with _part_of(within, home) as connection:
        for check in _given(only_if):
            check(connection)
        row = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == override_id, not_undone())).mappings().first()
        if row is None or row["action"] == "undo":
            raise nothing_to_take_back(override_id)
        if row["actor"] != by.name and WEIGHT.get(row["role"] or "", 0) > WEIGHT.get(by.role, 0):
            raise Outweighed(f"{row['actor']} ({row['role']}) said this; {by.name} is {by.role}")
        together = OVERRIDES.c.override_id == override_id if alone or row["group_id"] is None else OVERRIDES.c.group_id == row["group_id"]
        rows = connection.execute(select(OVERRIDES).where(together, OVERRIDES.c.action != "undo", not_undone())).mappings().all()
        kept = ("offer_id", "product_id", "counterpart_offer_id", "identity_hash", "group_id", "field", "value")
        group, ids = str(row["group_id"] or override_id), []
        for one in rows:
            undoing = {name: one[name] for name in kept} | {"action": "undo", "actor": by.name, "role": by.role, "reason_code": reason_code, "note": ""}
            stored = append(connection, home.catalog, str(snapshot["snapshot_id"]) if snapshot else "", undoing | {"undoes": one["override_id"]})
            ids.append(stored.override_id)
    return Deed(group, tuple(ids), repeated=False)


# --- how it is stored -----------------------------------------------------------------------------------------------


def _store(
    home: Home, rows: list[dict[str, Any]], by: Actor, key: str, checks: Sequence[Check], together: str | None = None, within: Connection | None = None
) -> Deed:
    """All rows in one durable transaction under the client's key, checks and all; nothing is stored where they are there already."""
    if within is None:
        with home.engine.connect() as connection:
            known = _under(connection, key)
        if not known:
            check_allowed(home, by.name, rows, together, as_one=True)
    snapshot = home.snapshot()
    group_id = together or secrets.token_hex(8)
    with _part_of(within, home) as connection:
        known = _under(connection, key)
        if known:
            _refuse_other(known[:1] if together else known, rows, by)
            return Deed(known[0]["group_id"], tuple(row["override_id"] for row in known), repeated=True)
        for check in checks:
            check(connection)
        ids = []
        for number, row in enumerate(rows):
            said = row | {"actor": by.name, "role": by.role, "group_id": group_id, "key": key if number == 0 else None}
            ids.append(append(connection, home.catalog, str(snapshot["snapshot_id"]) if snapshot else "", said).override_id)
    return Deed(group_id, tuple(ids), repeated=False)


def _part_of(within: Connection | None, home: Home) -> AbstractContextManager[Connection]:
    return writing(home.engine) if within is None else nullcontext(within)


def _under(connection: Connection, key: str) -> list[RowMapping]:
    """The answer that is stored under a key, and then those that were given as one with it."""
    known = connection.execute(select(OVERRIDES).where(OVERRIDES.c.key == key)).mappings().first()
    if known is None:
        return []
    beside = select(OVERRIDES).where(OVERRIDES.c.group_id == known["group_id"], OVERRIDES.c.action != "undo", OVERRIDES.c.override_id != known["override_id"])
    return [known, *connection.execute(beside.order_by(OVERRIDES.c.override_id)).mappings()]


def _refuse_other(known: Sequence[RowMapping], rows: Sequence[Mapping[str, Any]], by: Actor) -> None:
    """Raise BadInput where what is stored is another's, or another deed: about other offers, or with other words."""
    told = ("action", "offer_id", "product_id", "field", "value", "until", "note")
    others = {row["offer_id"] for row in known} != {row["offer_id"] for row in rows}
    if others or known[0]["actor"] != by.name or any(known[0][name] != rows[0].get(name) for name in told):
        raise BadInput("this key was used for something else", where="idempotency key", todo="make a new key for every new answer")


def _given(check: Check | None) -> list[Check]:
    return [] if check is None else [check]


def _not_outweighed(product_id: str, field: str, by: Actor, *, lock: bool) -> Check:
    """The check that nobody of a higher role set the field, and that no lock holds it, which a value set beside it would not change."""
    said = select(OVERRIDES).where(OVERRIDES.c.product_id == product_id, OVERRIDES.c.field == field, OVERRIDES.c.action.in_((SET, LOCK)), not_undone())

    def check(connection: Connection) -> None:
        for row in connection.execute(said).mappings():
            if WEIGHT.get(row["role"] or "", 0) > WEIGHT.get(by.role, 0):
                raise Outweighed(f"{row['actor']} ({row['role']}) set the {field} of {product_id}; ask one whose word counts as much")
            if row["action"] == LOCK and not lock:
                raise Outweighed(f"{row['actor']} locked the {field} of {product_id} as {row['value']!r}; take that back first, or lock the other value")

    return check


def _nothing_heavier(rows: Sequence[Mapping[str, Any]], by: Actor) -> Check:
    """The check that nobody of a higher role said the contrary of one of these answers. It raises Outweighed."""
    offers = sorted({row[name] for row in rows for name in ("offer_id", "counterpart_offer_id")})
    said = select(OVERRIDES).where(or_(OVERRIDES.c.offer_id.in_(offers), OVERRIDES.c.counterpart_offer_id.in_(offers)), OVERRIDES.c.action.in_(PLACED))

    def check(connection: Connection) -> None:
        if WEIGHT.get(by.role, 1) > 1:
            return
        for row in connection.execute(said.where(not_undone(), OVERRIDES.c.role.in_([role for role, weight in WEIGHT.items() if weight > 1]))).mappings():
            if any(outweighs(dict(row), {**answer, "role": by.role}) for answer in rows):
                raise Outweighed(f"{row['actor']} ({row['role']}) decided of {row['offer_id']} otherwise; ask one whose word counts as much")

    return check


def _nothing_brought(leaving: Sequence[str], product_id: str, by: Actor, taken_in: int) -> Check:
    """The check that nobody of a higher role, since `taken_in`, brings offers into the product through one that leaves it: they would go with that one.

    It raises Outweighed.
    """
    through = (OVERRIDES.c.product_id == product_id, OVERRIDES.c.counterpart_offer_id.in_(leaving), OVERRIDES.c.offer_id.not_in(leaving))
    since = select(OVERRIDES).where(*through, OVERRIDES.c.override_id > taken_in, OVERRIDES.c.action.in_(TOGETHER), not_undone())

    def check(connection: Connection) -> None:
        for row in connection.execute(since).mappings():
            if WEIGHT.get(row["role"] or "", 0) > WEIGHT.get(by.role, 0):
                words = f"{row['actor']} ({row['role']}) brought {row['offer_id']} here, to {row['counterpart_offer_id']}"
                raise Outweighed(f"{words}; ask one whose word counts as much, or let a run take that in first")

    return check


def _not_parting(offer_ids: Sequence[str], product_id: str, taken_in: int) -> Check:
    """The check that no answer after `taken_in` parts these offers of a product: which of them it keeps only the next run tells. It raises BadInput."""
    looked_at = offer_ids[:MOST_OFFERS]
    both = OVERRIDES.c.offer_id.in_(looked_at), OVERRIDES.c.counterpart_offer_id.in_(looked_at)
    since = select(OVERRIDES).where(*both, OVERRIDES.c.override_id > taken_in, OVERRIDES.c.action.in_(PLACED), not_undone()).order_by(OVERRIDES.c.override_id)

    def check(connection: Connection) -> None:
        last = {frozenset((row["offer_id"], row["counterpart_offer_id"])): row for row in connection.execute(since).mappings()}
        for row in last.values():
            if row["action"] in APART:
                raise BadInput(
                    f"{row['actor']} said since the last run that {row['offer_id']} and {row['counterpart_offer_id']} are not the same", where=product_id,
                    todo="let a run take that in and merge then, or take that answer back first",
                )  # fmt: skip

    return check


def _about(tables: Tables, product_id: str) -> ColumnElement[bool]:
    """The condition that an answer is about a product or one of its offers."""
    return or_(OVERRIDES.c.product_id == product_id, OVERRIDES.c.offer_id.in_(_offers_of(tables, product_id)[:MOST_OFFERS]))


def _version(connection: Connection, row: Mapping[str, Any], about: ColumnElement[bool]) -> str:
    newest = connection.execute(select(func.max(OVERRIDES.c.override_id)).where(about)).scalar()
    return f"{row['run']}-{newest or 0}"


def _row(action: str, offer_id: str, other: str, product_id: str, identity: Mapping[str, int], note: str) -> dict[str, Any]:
    return {
        "offer_id": offer_id, "action": action, "product_id": product_id, "counterpart_offer_id": other, "reason_code": "", "note": note, "undoes": None,
        "identity_hash": identity[offer_id],
    }  # fmt: skip


# --- what is looked up ----------------------------------------------------------------------------------------------


def _live(tables: Tables, product_id: str) -> dict[str, Any]:
    found = tables.rows("SELECT * FROM products WHERE product_id = ? AND state = 'live'", [product_id])
    if not found:
        raise BadInput(f"there is no live product {product_id!r}", where="review", todo="look it up again; it may have been merged")
    return found[0]


def _check_two(tables: Tables, product_id: str, into: str) -> None:
    if product_id == into:
        raise BadInput("a product cannot be merged into itself", where=product_id, todo="name another product")
    for one in (product_id, into):
        _live(tables, one)


def _offers_of(tables: Tables, product_id: str) -> list[str]:
    found = tables.rows("SELECT offer_id FROM decisions WHERE kind = 'product' AND product_id = ? ORDER BY offer_id", [product_id])
    return [row["offer_id"] for row in found]


def _parted(tables: Tables, product_id: str, offer_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """(offers that leave, offers that stay), each in order."""
    _live(tables, product_id)
    all_offers, chosen = _offers_of(tables, product_id), set(offer_ids)
    foreign = sorted(chosen.difference(all_offers))
    if foreign:
        raise BadInput(f"{foreign[0]!r} is no offer of {product_id}", where="split", todo="look at the product again")
    leaving, staying = [one for one in all_offers if one in chosen], [one for one in all_offers if one not in chosen]
    if not leaving or not staying:
        raise BadInput("a split leaves at least one offer on each side", where=product_id, todo="choose some of its offers, but not all")
    if len(leaving) * len(staying) > MOST_ROWS:
        raise BadInput(f"{len(leaving):,} of {len(all_offers):,} offers cannot be split off at once", where=product_id, todo="choose fewer offers")
    return leaving, staying


def _identities(tables: Tables, offer_ids: Sequence[str]) -> dict[str, int]:
    marks = ", ".join("?" * len(offer_ids))
    return {row["offer_id"]: row["identity_hash"] for row in tables.by_key("offers", "offer_id, identity_hash", f"offer_id IN ({marks})", list(offer_ids))}


def _titles(tables: Tables, offer_ids: Sequence[str]) -> tuple[str, ...]:
    shown = list(offer_ids[:5])
    found = {row["offer_id"]: row["title"] for row in tables.by_key("offers", "offer_id, title", f"offer_id IN ({', '.join('?' * len(shown))})", shown)}
    return tuple(found[one] for one in shown if one in found)


def _contradictions(tables: Tables, ones: Sequence[str], others: Sequence[str], actions: Sequence[str]) -> tuple[str, ...]:
    """Standing answers that keep two of the offers apart."""
    marks = (", ".join("?" * len(group)) for group in (actions, ones, others, ones, others))
    found = tables.rows(
        "SELECT actor, action, offer_id, counterpart_offer_id FROM overrides WHERE action IN ({}) AND override_id NOT IN "
        "(SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND ((offer_id IN ({}) AND counterpart_offer_id IN ({})) "
        "OR (counterpart_offer_id IN ({}) AND offer_id IN ({}))) ORDER BY override_id LIMIT 5".format(*marks),
        [*actions, *ones, *others, *ones, *others],
    )
    return tuple(f"{row['actor']} said that {row['offer_id']} and {row['counterpart_offer_id']} are not the same" for row in found)


def house_categories(home: Kept) -> tuple[str, ...]:
    """The paths of the taxonomy that the snapshot was made by, in its order; none where the house has none, or it cannot be read now, which a run will say."""
    catalog = at_snapshot(home)
    file = catalog.root / catalog.taxonomy if catalog.taxonomy else None
    try:
        return _paths_of(file, file.stat().st_mtime_ns) if file else ()
    except (BadInput, OSError):
        return ()


@lru_cache(maxsize=4)
def _paths_of(file: Path, _changed_ns: int) -> tuple[str, ...]:
    return tuple(category.path for category in read_taxonomy(file))


def _house_category(home: Kept, typed: str) -> str:
    """The house's category that was typed, however it is written."""
    known = house_categories(home)
    found = next((path for path in known if path.casefold() == typed.casefold()), None)
    if found is None and known:
        nearest = [path for path, _likeness, _place in process.extract(typed, known, scorer=fuzz.WRatio, processor=str.casefold, limit=2)]
        raise BadInput(f"the house has no category {typed[:80]!r}", where="review", todo=f"choose one of the taxonomy, such as {' or '.join(nearest)}")
    return found or typed


def _checked(home: Kept, field: str, value: str) -> str:
    if field not in fields():
        raise BadInput(f"a product has no field {field!r}", where="review", todo=f"use {', '.join(fields())}")
    cleaned = " ".join(value.split())
    if not cleaned or len(cleaned) > MOST_CHARACTERS or not cleaned.isprintable():
        raise BadInput(f"the {field} cannot be {value[:40]!r}", where=field, todo=f"write 1 to {MOST_CHARACTERS} printable characters")
    if field == "gtin":
        digits, mistake = gtin.normalise(cleaned)
        if digits is None:
            raise BadInput(f"{cleaned!r} is no GTIN: {gtin.REASONS[mistake or '']}", where=field, todo="copy the digits below the bar code")
        return digits
    if field == "category":
        return _house_category(home, cleaned)
    if field == "quantity" and not find_quantities(cleaned):
        raise BadInput(f"{cleaned[:40]!r} is no amount", where="review", todo="write a number with its unit, such as 500 ml")
    if field == "pack_count" and not (cleaned.isascii() and cleaned.isdecimal() and 0 < int(cleaned) <= MOST_IN_PACK):
        raise BadInput(f"a pack cannot hold {cleaned[:40]!r}", where="review", todo=f"write a whole number from 1 to {MOST_IN_PACK:,}")
    return cleaned


def _not_shared(tables: Tables, product_id: str, value: str) -> Check:
    other = "SELECT product_id, title FROM products WHERE state = 'live' AND gtin = ? AND product_id <> ? ORDER BY product_id LIMIT 1"

    said = select(OVERRIDES.c.product_id).where(
        OVERRIDES.c.field == "gtin", OVERRIDES.c.value == value, OVERRIDES.c.product_id != product_id, OVERRIDES.c.action.in_((SET, LOCK)), not_undone()
    )

    def check(connection: Connection) -> None:
        for row in tables.rows(other, [value, product_id]):
            raise Shared(value, row["product_id"], row["title"] or row["product_id"])
        for (its,) in connection.execute(said):  # that no run has taken in yet
            for row in tables.rows("SELECT title FROM products WHERE state = 'live' AND product_id = ?", [its]):
                raise Shared(value, its, row["title"] or its)

    return check


def _check_until(tables: Tables, until: str | None) -> None:
    """Raises BadInput for a last day that is over already: the word would be stored and never hold."""
    newest = tables.rows("SELECT coalesce(max(date), '') AS date FROM deliveries")[0]["date"]
    if until is not None and until < newest:
        raise BadInput(f"{until} is over: the newest delivery is of {newest}", where="until", todo="name a later day, or none")


def _said(home: Home, tables: Tables, product_id: str, field: str, row: Mapping[str, Any]) -> str | None:
    """What the suppliers say of the field now: the value served, or, beside a person's, what was asked or said when that was set."""
    value = next((one for one in row["values"] or () if one["field"] == field), None)
    if value is None or value["override_id"] is None:
        return value["value"] if value else None
    asked = tables.rows("SELECT value FROM decisions WHERE product_id = ? AND kind = ?", [product_id, f"value:{field}"])
    if asked:
        return str(asked[0]["value"]) if asked[0]["value"] is not None else None
    with home.engine.connect() as connection:
        return connection.execute(select(OVERRIDES.c.said).where(OVERRIDES.c.override_id == value["override_id"])).scalar()
