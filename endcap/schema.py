"""The nouns of endcap: each is one frozen row type and one lake table, written by one room.

A lake table is an append-only change log: every row carries the `run` that wrote it, and the row
with the highest `run` for a key is the current one; `gone` marks a key that no longer holds.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pyarrow as pa


class Row:
    """What every noun has: the table's name, its key, its one writer, and the columns left out of content hashes."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    WRITER: ClassVar[str]


# A detail whose name ends so is what a supplier sent where a value could not be read; it is kept, and is no property of the product.
AS_SENT = "_as_sent"


@dataclass(frozen=True, slots=True)
class Delivery(Row):
    """One arrival of a feed: what was read and what became of it; read = accepted + quarantined."""

    TABLE: ClassVar = "deliveries"
    KEY: ClassVar = ("delivery_id",)
    WRITER: ClassVar = "feeds"

    delivery_id: str  # feed@date
    feed: str
    supplier: str
    date: str  # ISO date the delivery stands for
    file: str  # as named in the settings, date filled in; never an absolute path
    sha256: str
    state: str  # accepted | held
    reason: str  # why it is held, in words; empty when accepted
    read: int
    accepted: int  # records that are offers, repeats included
    quarantined: int
    repeated: int  # accepted records that repeat another record of the same delivery
    offers: int  # accepted - repeated: distinct live offers after this delivery
    new: int
    changed: int
    unchanged: int
    vanished: int
    warnings: list[str]  # what a person should know though nothing was held
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Offer(Row):
    """One seller's listing as of one delivery, cleaned and flattened, with the raw bytes' address."""

    TABLE: ClassVar = "offers"
    KEY: ClassVar = ("offer_id",)
    WRITER: ClassVar = "feeds"

    offer_id: str  # feed:source_id
    feed: str
    supplier: str
    source_id: str  # the supplier's own id
    title: str
    brand: str | None
    description: str | None
    category_path: str | None  # the supplier's own, joined by ' > '
    gtin: str | None  # 14 digits, check digit valid; else None and the text is in details_json, under a name that ends in AS_SENT
    mpn: str | None
    price: Decimal | None
    currency: str | None
    quantity_text: str | None  # what the supplier says of content and pack, as written
    url: str | None
    image_url: str | None
    available: bool | None
    details_json: str | None  # further mapped fields, one JSON object of strings, keys sorted
    delivery_id: str  # the delivery that last changed this row
    position: int  # record number in that delivery, from 1: with delivery_id the raw bytes' address
    raw_hash: int  # 64-bit hash of the record's raw bytes, header and mapping
    identity_hash: int  # 64-bit hash of what the offer claims to be: all but price, currency, url, image, availability
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Quarantined(Row):
    """A record that could not be read or broke the contract."""

    TABLE: ClassVar = "quarantined"
    KEY: ClassVar = ("delivery_id", "position")
    WRITER: ClassVar = "feeds"

    delivery_id: str
    feed: str
    position: int
    raw: bytes
    code: str  # reason code, e.g. no_title, bad_price, ragged_row, duplicate_id
    reason: str  # one sentence for people
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Pair(Row):
    """Two offers compared: feature values and score. left_id < right_id."""

    TABLE: ClassVar = "pairs"
    KEY: ClassVar = ("left_id", "right_id")
    WRITER: ClassVar = "match"

    left_id: str
    right_id: str
    features: list[float]  # float32, in the order of the model's feature names; NaN = unknown
    score: float  # probability of being the same product
    conflict: str | None  # a structured contradiction in words ('pack 6 against 12'), which forbids a link by machine
    model: str
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Fact(Row):
    """One attribute value believed of an offer."""

    TABLE: ClassVar = "facts"
    KEY: ClassVar = ("offer_id", "attribute")
    WRITER: ClassVar = "infer"

    offer_id: str
    attribute: str
    value: str
    unit: str | None
    confidence: float
    evidence_field: str | None  # the offer's field the value was read from
    evidence_start: int | None  # span in that field, in characters
    evidence_end: int | None
    extractor: str  # component@version
    model: str | None
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Decision(Row):
    """What was done with an offer (kind product) or one of its facts (kind = the attribute)."""

    TABLE: ClassVar = "decisions"
    KEY: ClassVar = ("offer_id", "kind")
    WRITER: ClassVar = "decide"

    offer_id: str
    kind: str  # product | category | value:<field>, where suppliers contradict what a person set
    action: str  # linked | new_product | to_review | accepted
    product_id: str | None  # the product the offer belongs to; None while it waits for a person
    proposed_product_id: str | None  # what a person is asked about
    counterpart_offer_id: str | None  # the offer whose likeness decided
    value: str | None  # the accepted or doubtful value, where the decision is about a fact
    confidence: float
    reason_code: str
    reason: str  # words for people
    decided_by: str  # machine | person
    override_id: int | None
    model: str | None
    policy: str  # hash of the policy settings in force
    identity_hash: int  # the offer's when this was decided
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Value:
    """One canonical field of a product with where it came from."""

    field: str
    value: str
    unit: str | None
    confidence: float
    source_offer_id: str
    extractor: str
    model: str | None
    override_id: int | None
    since_run: int
    support: int  # offers that say the same


@dataclass(frozen=True, slots=True)
class Product(Row):
    """One canonical product: a stable id and values with provenance."""

    TABLE: ClassVar = "products"
    KEY: ClassVar = ("product_id",)
    WRITER: ClassVar = "decide"

    product_id: str
    state: str  # live | merged | split | gone
    merged_into: str | None
    title: str
    brand: str | None
    category: str | None
    gtin: str | None
    price_min: Decimal | None
    price_max: Decimal | None
    currency: str | None
    offers: int
    suppliers: int
    values: list[Value]
    founded_by: str  # offer_id
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class ProductEvent(Row):
    """What happened to a product's identity: founded, absorbed (an offer), merged, split, gone, revived."""

    TABLE: ClassVar = "product_events"
    KEY: ClassVar = ("product_id", "event", "offer_id", "run")
    WRITER: ClassVar = "decide"

    product_id: str
    event: str
    into_product_id: str | None
    offer_id: str
    reason: str
    run: int
    gone: bool


# SQL of whether what an audit says of a founded product makes it a failure: a person found it to be {chosen}, which was founded before it. Of two
# products that are one, one failed; of those of one run, that with the smaller id was there first. {run} is that of the judged decision.
FOUNDED_AGAIN = """
    coalesce((SELECT max(row(e.run, e.product_id)) FROM product_events e WHERE e.event = 'founded' AND e.offer_id = {offer} AND e.run <= {run})
             > (SELECT min(row(e.run, e.product_id)) FROM product_events e WHERE e.event = 'founded' AND e.product_id = {chosen}), true)
"""


@dataclass(frozen=True, slots=True)
class Label(Row):
    """Truth to learn from, with provenance and weight; what judges models (audits) has weight 0 and teaches none."""

    TABLE: ClassVar = "labels"
    KEY: ClassVar = ("left_id", "right_id", "source", "source_id")
    WRITER: ClassVar = "learn"

    left_id: str
    right_id: str
    same: bool
    weight: float  # how far it can be trusted: 2p - 1, where p is the chance that it is right; 0 teaches nothing
    source: str  # override | second | audit | shared_gtin | gold
    source_id: str  # the override's or blind question's id, or the gold set's
    actor: str  # who said it, or added the gold set; endcap for what is read from offers
    at: str  # when it was said; empty for what is read from offers
    run: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Trial(Row):
    """A challenger against the champion: numbers and verdict."""

    TABLE: ClassVar = "trials"
    KEY: ClassVar = ("trial_id",)
    WRITER: ClassVar = "learn"

    trial_id: str
    challenger: str
    champion: str | None
    labels: int
    data_version: str  # snapshot id the labels and pairs came from
    figures_json: str
    verdict: str
    run: int
    gone: bool


NOUNS: tuple[type[Row], ...] = (
    Delivery, Offer, Quarantined, Pair, Fact, Decision, Product, ProductEvent, Label, Trial,
)  # fmt: skip
BY_TABLE: dict[str, type[Row]] = {noun.TABLE: noun for noun in NOUNS}
# `run` says when a row was written, not what the catalog holds; features are reflected in the score: content hashes leave both out.
NOT_CONTENT: tuple[str, ...] = ("run", "gone", "features")
# Tables whose growth changes nothing that a catalog's readers see.
NOT_CATALOG: tuple[str, ...] = ("labels", "trials")
FLOAT32_LISTS: tuple[str, ...] = ("features",)


def arrow_schema(noun: type[Any]) -> pa.Schema:
    """The Arrow schema of a noun's table, derived from its annotations."""
    return _derived(noun.__name__)


@cache
def _derived(name: str) -> pa.Schema:
    import pyarrow as pa

    noun = globals()[name]
    hints = typing.get_type_hints(noun)
    return pa.schema(
        [_arrow_field(field.name, hints[field.name]) for field in fields(noun)],
        metadata={"noun": noun.__name__},
    )


def _arrow_field(name: str, hint: Any) -> pa.Field:
    import pyarrow as pa

    nullable = isinstance(hint, types.UnionType)
    if nullable:
        (hint,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
    return pa.field(name, _arrow_type(name, hint), nullable=nullable)


def _arrow_type(name: str, hint: Any) -> pa.DataType:
    import pyarrow as pa

    plain = {
        str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(),
        bytes: pa.binary(), Decimal: pa.decimal128(18, 4),
    }  # fmt: skip
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        if name in FLOAT32_LISTS:
            return pa.list_(pa.float32())
        return pa.list_(_arrow_type("", item))
    if hint in plain:
        return plain[hint]
    return pa.struct(list(arrow_schema(hint)))
