"""The shapes of answers: what the API sends and the pages show, so that both say the same."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from endcap.decide.between import NearOffer, PairBar, PairOffer, Step


def _day(text: str) -> str:
    date.fromisoformat(text)
    return text


Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="A day of the calendar, as 2024-05-31."), AfterValidator(_day)]


class Taken(BaseModel):
    """What the API takes: nothing beside its fields, each of the very type that the schema says, and no NUL, which Postgres cannot store."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        if any("\x00" in one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)):
            raise ValueError("a NUL cannot be stored")
        return value


class Problem(BaseModel):
    """What went wrong and what to do, in words."""

    code: str
    message: str
    hint: str


class ProblemAnswer(BaseModel):
    """The one shape of every error."""

    error: Problem


class Answer(BaseModel):
    """Every answer says which snapshot it was read from."""

    snapshot: str | None = Field(description="The snapshot this was read from; null before the first run.")


class Delivery(BaseModel):
    """One arrival of a feed: read = accepted + quarantined."""

    delivery_id: str
    feed: str
    supplier: str
    date: str
    state: str
    reason: str
    read: int
    accepted: int
    quarantined: int
    repeated: int
    offers: int
    new: int
    changed: int
    unchanged: int
    vanished: int
    warnings: list[str]
    run: int


class FeedState(BaseModel):
    """A feed now: the delivery that is served, and a newer one that is held."""

    feed: str
    supplier: str
    live_offers: int
    served: Delivery | None
    held: Delivery | None


class DecisionCounts(BaseModel):
    """What was done with the live offers."""

    linked: int
    new_product: int
    to_review: int
    by_person: int
    category_accepted: int
    category_to_review: int


class Slice(BaseModel):
    by: str
    name: str
    value: float | None
    n: int


class Figure(BaseModel):
    """One number with all that is needed to read it rightly; value is null below the minimum n."""

    name: str
    version: int
    label: str
    value: float | None
    n: int
    low: float | None
    high: float | None
    unit: str
    words: str
    direction: str
    shown: str = Field(description="The value, interval and n in words, or that there is not enough data.")
    slices: list[Slice]

    @property
    def group(self) -> str:
        """The metric this figure belongs to."""
        return self.name.split(".")[0]

    @property
    def why(self) -> str:
        """The words without the repeated 'not enough data'."""
        return self.words.split(": ", 1)[1] if self.value is None and ": " in self.words else self.words


class Need(BaseModel):
    """Something that waits for a person."""

    kind: str
    count: int
    words: str
    todo: str
    path: str


class Run(BaseModel):
    attempt_id: int | None = Field(description="Its page is /runs/ATTEMPT_ID.")
    run: int
    state: str
    snapshot_id: str | None
    started_at: str
    finished_at: str | None
    held: int = Field(description="Deliveries that were held.")
    error: str | None


class Overview(Answer):
    published_at: str | None
    run: int | None
    products: int
    offers: int
    suppliers: int
    feeds: list[FeedState]
    decisions: DecisionCounts
    figures: list[Figure]
    needs: list[Need]
    runs: list[Run]


class ProductRow(BaseModel):
    product_id: str
    title: str
    brand: str | None
    category: str | None
    gtin: str | None
    price_min: Decimal | None
    price_max: Decimal | None
    currency: str | None
    offers: int
    suppliers: int


class ProductList(Answer):
    q: str
    category: str
    page: int
    pages: int
    found: int
    products: list[ProductRow]
    next: str | None = Field(None, description="Send it as `cursor` for the rows after these, of the very same snapshot; null at the end.")


class Value(BaseModel):
    """One canonical field with where it came from."""

    field: str
    value: str
    unit: str | None
    confidence: float
    source_offer_id: str = Field(description="Where a person set the value, the offer that stood for the field before.")
    supplier: str | None = Field(description="Null where a person set the value.")
    extractor: str
    model: str | None
    override_id: int | None
    since_run: int
    support: int


class ProductOffer(BaseModel):
    """An offer of a product, as sent, and why it belongs there."""

    offer_id: str
    supplier: str
    title: str
    price: Decimal | None
    currency: str | None
    available: bool | None
    url: str | None
    picture: bool = Field(description="Its supplier names a picture, which is at /pictures/ and the offer's id.")
    action: str
    confidence: float
    reason_code: str
    reason: str
    decided_by: str
    since_run: int


class Event(BaseModel):
    """One thing that happened to a product."""

    run: int
    event: str
    words: str
    offer_id: str | None


class Product(Answer):
    product_id: str
    state: str
    merged_into: str | None
    title: str
    brand: str | None
    category: str | None
    gtin: str | None
    price_min: Decimal | None
    price_max: Decimal | None
    currency: str | None
    offer_count: int
    supplier_count: int
    founded_by: str
    values: list[Value]
    page: int
    pages: int
    offers: list[ProductOffer]
    history: list[Event]


class Fact(BaseModel):
    attribute: str
    value: str
    unit: str | None
    confidence: float
    evidence: str | None = Field(description="The words of the offer that the value was read from.")
    evidence_field: str | None
    extractor: str
    model: str | None


class Decision(BaseModel):
    kind: str
    action: str
    product_id: str | None
    proposed_product_id: str | None
    counterpart_offer_id: str | None
    value: str | None
    confidence: float
    reason_code: str
    reason: str
    decided_by: str
    override_id: int | None
    model: str | None
    run: int


class Candidate(BaseModel):
    """Another offer this one was compared with."""

    offer_id: str
    supplier: str | None
    title: str | None
    price: Decimal | None
    currency: str | None
    score: float
    conflict: str | None


class Offer(Answer):
    offer_id: str
    feed: str
    supplier: str
    source_id: str
    title: str
    brand: str | None
    description: str | None
    category_path: str | None
    gtin: str | None
    mpn: str | None
    price: Decimal | None
    currency: str | None
    quantity_text: str | None
    url: str | None
    image_url: str | None
    available: bool | None
    delivery_id: str
    position: int
    facts: list[Fact]
    decisions: list[Decision]
    candidates: list[Candidate]
    history: list[Decision]


class OfferPair(Answer):
    """Two offers together; `left` has the smaller id. `verdict` and `steps` say where the pair fell out, `bars` sum to `log_odds`."""

    left: PairOffer
    right: PairOffer
    verdict: str
    words: str
    todo: str
    steps: list[Step]
    score: float | None
    log_odds: float | None = Field(description="The log-odds of `score`; null where the score or its model is not there.")
    conflict: str | None
    stored: bool = Field(description="The score is of a run; else it was computed for this answer, by the same steps.")
    run: int | None
    model: str | None
    review: float
    accept: float
    bars: list[PairBar]
    near: list[NearOffer]
    shared: list[str]
    answers: list[str]


class Question(BaseModel):
    """A decision that waits for a person."""

    offer_id: str
    kind: str
    supplier: str
    title: str
    price: Decimal | None
    currency: str | None
    proposed_product_id: str | None
    proposed_title: str | None
    proposed_offers: int | None
    value: str | None
    confidence: float
    reason_code: str
    reason: str
    run: int


class Review(Answer):
    kind: str
    page: int
    pages: int
    found: int
    by_reason: dict[str, int]
    questions: list[Question]


class Figures(Answer):
    figures: list[Figure]


class SnapshotRow(BaseModel):
    snapshot_id: str
    parent: str | None
    run: int
    content_hash: str
    created_at: str
    current: bool


class Snapshots(Answer):
    snapshots: list[SnapshotRow]


class Deliveries(Answer):
    deliveries: list[Delivery]


class QuarantinedRow(BaseModel):
    position: int
    code: str
    reason: str
    raw: str


class Quarantine(Answer):
    delivery_id: str
    page: int
    pages: int
    found: int = Field(description="Records that are kept; of a held delivery a sample.")
    quarantined: int = Field(description="Records of the delivery that could not be read or broke the contract.")
    by_code: dict[str, int]
    rows: list[QuarantinedRow]


class Health(Answer):
    status: str


class Me(Answer):
    """Who is asking."""

    name: str
    role: str = Field(description="The highest this one has, anywhere.")
    scopes: list[str] | None = Field(description="What this one may do where, in words; null: the role holds everywhere.")
