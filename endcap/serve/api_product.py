"""Changes of a product under /api/v1: values, locks, splits and merges, each against the version that the person saw, and their undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.exceptions import HTTPException

from endcap.review.product import (
    Actor,
    Changed,
    Check,
    Deed,
    Effect,
    Outweighed,
    Shared,
    effect_of_merge,
    effect_of_split,
    merge,
    nothing_to_take_back,
    set_field,
    split,
    take_back,
    unchanged_since,
    version_of,
)
from endcap.review.reach import role_for, role_for_answer
from endcap.serve import answers_product as answers
from endcap.serve import asking_changes
from endcap.serve.answering import Answering
from endcap.serve.api import Pinned
from endcap.serve.api_review import Writing
from endcap.serve.asking import Conflict, NotFound
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading
from endcap.serve.templating import in_path

ROUTER = APIRouter(prefix="/api/v1", route_class=Answering)
LOCKS = ("lead", "admin")
IfMatch = Annotated[str | None, Header(max_length=100, description="The version that /answers told: the change is refused when it is another by now.")]


@ROUTER.get("/products/{product_id}/answers")
def said_of(request: Request, reading: Pinned, home: Writing, product_id: str) -> answers.SaidOfProduct:
    """What people said of a product, what of it waits for the next run, and what the suppliers now contradict."""
    _live(reading, product_id)
    found = asking_changes.said_of(reading, home, product_id)
    request.state.version = found.version  # begins the ETag, which If-Match may then name
    return found


@ROUTER.get("/products/{product_id}/history")
def history(reading: Pinned, product_id: str, field: Annotated[str, Query(max_length=80)]) -> answers.FieldHistory:
    """Every value that a field had, with where it came from."""
    return asking_changes.field_history(reading, product_id, field)


@ROUTER.get("/values")
def values(reading: Pinned, field: Annotated[str, Query(max_length=80)], q: Annotated[str, Query(max_length=200)] = "") -> answers.Suggestions:
    """Values of a field that the catalog knows and that hold what was typed."""
    return asking_changes.suggestions(reading, field, q)


@ROUTER.post("/products/{product_id}/values")
def set_value(request: Request, reading: Pinned, home: Writing, product_id: str, given: answers.FieldSet, if_match: IfMatch = None) -> answers.Stored:
    """Set or lock one value of a product."""
    by = _actor(reading, request, product_id)
    as_seen = _as_seen(reading, product_id, if_match)
    if given.lock and by.role not in LOCKS:
        raise HTTPException(403, f"a lock takes the role lead; {by.name} is {by.role}")
    try:
        deed = set_field(
            home, reading, product_id, given.field, given.value, by, key=given.key, lock=given.lock, note=given.note, until=given.until, only_if=as_seen,
            shared=given.shared,
        )  # fmt: skip
    except Shared as error:
        raise Conflict(str(error), f"look at /p/{in_path(error.product_id)}: merge the two, or send it with `shared` true where both have it") from None
    except Outweighed as error:
        raise HTTPException(409, str(error)) from None
    except Changed as error:
        raise HTTPException(412, str(error)) from None
    return _stored(reading, home, product_id, deed)


@ROUTER.post("/products/{product_id}/split")
def split_off(request: Request, reading: Pinned, home: Writing, product_id: str, given: answers.Split, if_match: IfMatch = None) -> answers.Stored:
    """Make some of a product's offers a product of their own; it takes a role for these offers."""
    by = _parting(reading, request, product_id, given.offer_ids)
    as_seen = _as_seen(reading, product_id, if_match)
    try:
        deed = split(home, reading, product_id, given.offer_ids, by, key=given.key, note=given.note, only_if=as_seen)
    except Outweighed as error:
        raise HTTPException(409, str(error)) from None
    except Changed as error:
        raise HTTPException(412, str(error)) from None
    return _stored(reading, home, product_id, deed)


@ROUTER.post("/products/{product_id}/split/preview")
def preview_split(request: Request, reading: Pinned, product_id: str, given: answers.Parting) -> answers.Foreseen:
    """What splitting these offers off would do; nothing is stored."""
    _parting(reading, request, product_id, given.offer_ids)
    return _foreseen(reading, effect_of_split(reading, product_id, given.offer_ids))


@ROUTER.post("/products/{product_id}/merge")
def merge_into(request: Request, reading: Pinned, home: Writing, product_id: str, given: answers.Merge, if_match: IfMatch = None) -> answers.Stored:
    """Give all offers of a product to another one; its address will lead there."""
    by = _actor(reading, request, product_id, given.into)
    as_seen = _as_seen(reading, product_id, if_match)
    try:
        deed = merge(home, reading, product_id, given.into, by, key=given.key, note=given.note, only_if=as_seen)
    except Outweighed as error:
        raise HTTPException(409, str(error)) from None
    except Changed as error:
        raise HTTPException(412, str(error)) from None
    return _stored(reading, home, product_id, deed)


@ROUTER.post("/products/{product_id}/merge/preview")
def preview_merge(request: Request, reading: Pinned, product_id: str, given: answers.Joining) -> answers.Foreseen:
    """What merging it into the other one would do; nothing is stored."""
    _actor(reading, request, product_id, given.into)
    return _foreseen(reading, effect_of_merge(reading, product_id, given.into))


@ROUTER.post("/overrides/{override_id}/undo")
def undo(request: Request, reading: Pinned, home: Writing, override_id: int) -> answers.Undone:
    """Take an answer back, with all that were given as one with it."""
    if not 0 < override_id < 2**31:
        raise NotFound(f"there is no answer {override_id}", "a product's answers are at /api/v1/products/{product_id}/answers")
    person = person_of(request)
    role = role_for_answer(home, reading, person, override_id)
    if role is None:  # in the words for one that is not there
        raise nothing_to_take_back(override_id)
    try:
        deed = take_back(home, override_id, Actor(person.name, role))
    except Outweighed as error:
        raise HTTPException(409, str(error)) from None
    return answers.Undone(snapshot=reading.snapshot_id, override_ids=list(deed.override_ids))


def _actor(reading: Reading, request: Request, *product_ids: str) -> Actor:
    """Who changes these live products, with the role for all of them. Raises NotFound where one is not there or, in the same words, out of reach."""
    person = person_of(request)
    for one in product_ids:
        _live(reading, one)
    role = role_for(reading, person, "product", product_ids)
    if role is None:
        raise _no_product(next(one for one in product_ids if role_for(reading, person, "product", [one]) is None))
    return Actor(person.name, role)


def _parting(reading: Reading, request: Request, product_id: str, offer_ids: Sequence[str]) -> Actor:
    """Who splits these offers off a live product, with the role for them. Raises NotFound as `_actor`; of offers that are not the product's the deed tells."""
    person = person_of(request)
    _live(reading, product_id)
    role = role_for(reading, person, "offer", offer_ids)
    if role is None:
        raise _no_product(product_id)
    return Actor(person.name, role)


def _live(reading: Reading, product_id: str) -> None:
    if reading.row("SELECT 1 AS one FROM products WHERE product_id = ? AND state = 'live'", [product_id]) is None:
        raise _no_product(product_id)


def _no_product(product_id: str) -> NotFound:
    return NotFound(f"there is no live product {product_id!r} to change", "it may have been merged, or be another team's; ask for it by its id")


def _as_seen(reading: Reading, product_id: str, if_match: str | None) -> Check:
    """A change is stored only against what the person saw; one that is sent again is recognised by its key before this is asked."""
    _live(reading, product_id)
    if if_match is None:
        raise HTTPException(428, "say which version of the product was seen: send its version as If-Match")
    if if_match.strip() == "*":  # whatever it is by now (RFC 9110, 13.1.1)
        return lambda _connection: None
    return unchanged_since(reading, product_id, if_match.strip('"').partition(".")[0])


def _stored(reading: Reading, home: Writing, product_id: str, deed: Deed) -> answers.Stored:
    return answers.Stored(
        snapshot=reading.snapshot_id, override_ids=list(deed.override_ids), group_id=deed.group_id, repeated=deed.repeated,
        version=version_of(home, reading, product_id),
    )  # fmt: skip


def _foreseen(reading: Reading, effect: Effect) -> answers.Foreseen:
    return answers.Foreseen(
        snapshot=reading.snapshot_id, product_id=effect.product_id, other_id=effect.other_id, offers=effect.offers, other_offers=effect.other_offers,
        samples=list(effect.samples), contradictions=list(effect.contradictions),
    )  # fmt: skip
