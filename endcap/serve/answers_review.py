"""The shapes of what the review API takes and sends."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from endcap.review.override import REASONS
from endcap.serve.answers import Answer, Taken

MOST_DECISIONS = 500
MOST_MS = 1e14  # a moment of a clock, in milliseconds


class Word(BaseModel):
    """A word of a title."""

    text: str
    shared: bool = Field(description="The other title has it too.")


class Stated(BaseModel):
    """An offer as its seller sent it."""

    offer_id: str
    supplier: str
    title: str
    words: list[Word]
    brand: str | None
    gtin: str | None
    mpn: str | None
    price: str | None
    quantity: str | None
    description: str | None
    url: str | None
    picture: bool = Field(description="Its seller names a picture, which is at /pictures/ and the offer's id.")


class Difference(BaseModel):
    """A field that both state."""

    name: str
    offer: str
    other: str
    same: bool | None = Field(description="Null where the two cannot be compared, as amounts in different units.")


class Choice(BaseModel):
    """A product the offer may belong to, with its offer that resembles it most."""

    product_id: str
    title: str
    offers: int
    suppliers: int
    nearest: Stated | None
    fields: list[Difference]
    words: str


class Other(BaseModel):
    """One more offer of the proposed product, in short."""

    offer_id: str
    supplier: str
    words: list[Word]
    price: str | None


class Item(BaseModel):
    """One doubtful decision with all that a person needs to see."""

    offer_id: str
    identity: str
    evidence: str
    reason_code: str
    reason: str
    model: str | None
    group: str
    risks: list[str]
    offer: Stated
    choices: list[Choice]
    others: list[Other] = Field(description="Of the first choice, beside its nearest, the offers that differ most from the one asked about; three at most.")
    left: str | None = Field(default=None, description="Who left it to a lead, with their words.")


class NextItems(Answer):
    waiting: int = Field(description="What waits for this person, as the overview says too; checks that are mixed in count where nothing else is left.")
    fitting: int = Field(description="Of these, what the filters leave.")
    leased: int = Field(description="Of the fitting ones, those that others are looking at.")
    holders: dict[str, int] = Field(description="Who looks at how many of these.")
    suppliers: dict[str, int]
    categories: dict[str, int]
    reasons: dict[str, int]
    items: list[Item]


class Items(Answer):
    items: list[Item]


class Decision(Taken):
    """One answer. `key` is the client's own: sent twice, it is stored once."""

    key: str = Field(min_length=8, max_length=64)
    offer_id: str = Field(max_length=400)
    action: Literal["same", "different", "other", "new", "skip", "escalate"]
    product_id: str | None = Field(default=None, max_length=64)
    counterpart_offer_id: str | None = Field(default=None, max_length=400)
    identity: str = Field(pattern=r"^-?[0-9]{1,19}$")
    evidence: str = Field(pattern=r"^[0-9a-f]{0,16}$", description="The item's, as it came.")
    model: str | None = Field(default=None, max_length=64)
    reason_code: str = Field(default="", pattern=f"^({'|'.join(REASONS)})?$", description="Why, in one word.")
    note: str = Field(default="", max_length=2000)
    shown_ms: float | None = Field(default=None, ge=0, le=MOST_MS)
    answered_ms: float | None = Field(default=None, ge=0, le=MOST_MS)
    group_id: str | None = Field(default=None, min_length=1, max_length=64, description="Answers given as one, which one undo takes back: this person's own.")
    over: int | None = Field(default=None, ge=1, lt=2**31, description="Another person's answer to this offer that this one knowingly overrules.")

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        if self.counterpart_offer_id == self.offer_id:
            raise ValueError("an offer is not compared with itself")
        return self

    @field_validator("identity")
    @classmethod
    def _storable(cls, value: str) -> str:
        if not -(2**63) <= int(value) < 2**63:
            raise ValueError("no offer has this identity")
        return value


class Decisions(Taken):
    decisions: list[Decision] = Field(min_length=1, max_length=MOST_DECISIONS)


class Outcome(BaseModel):
    """stored, repeated (it was stored before), or not stored: conflict (another person's answer stands), outweighed (a lead said otherwise), gone (the
    offer is no longer delivered), reused (the key belongs to another answer)."""

    key: str
    state: str
    override_id: int | None
    action: str
    actor: str


class Outcomes(Answer):
    outcomes: list[Outcome]


class TakenValue(BaseModel):
    """A product's field about which an answer was taken back."""

    product_id: str
    field: str


class Undone(Answer):
    count: int
    items: list[Item] = Field(description="The offers that wait again now.")
    values: list[TakenValue]


class TakeBack(Taken):
    """The person's last answer, or their last one on a named offer. Under a `key` of the client's own it is taken back once, however often it is sent."""

    key: str = Field(default="", pattern=r"^(.{8,64})?$")
    offer_id: str | None = Field(default=None, max_length=400)
    about: Literal["", "offers", "category", "value"] = Field(default="", description="Only of answers about these.")


class Mine(BaseModel):
    """What this person answered to an item."""

    offer_id: str
    title: str | None
    action: str
    at: str
    standing: bool = Field(description="Not taken back.")


class AllMine(Answer):
    answers: list[Mine]


class Released(Answer):
    count: int


class Group(BaseModel):
    """Items that the same evidence speaks about."""

    group: str
    count: int
    offer_ids: list[str]


class Groups(Answer):
    groups: list[Group]


class Option(BaseModel):
    """A value that may be right, with why it is offered."""

    value: str
    words: str


class Question(BaseModel):
    """A product's field in doubt; the first option is what the machine, or the person before, says."""

    product_id: str
    field: str
    title: str
    offers: int
    supplier: str
    path: str | None = Field(description="The supplier's own category.")
    reason: str
    says: str | None = Field(description="What the suppliers say now.")
    override_id: int | None = Field(description="The person's word that the suppliers contradict.")
    options: list[Option]
    group: str
    evidence: str


class Questions(Answer):
    waiting: int
    questions: list[Question]


class ValueAnswer(Taken):
    """One answer: `set` a value, or let the `suppliers`' word stand again. `key` is the client's own: sent twice, it is stored once."""

    key: str = Field(min_length=8, max_length=64)
    product_id: str = Field(min_length=1, max_length=64)
    field: str = Field(min_length=1, max_length=80)
    action: Literal["set", "suppliers"]
    value: str | None = Field(default=None, max_length=500)
    override_id: int | None = Field(default=None, ge=1, lt=2**31)
    group_id: str | None = Field(default=None, min_length=1, max_length=64, description="Answers of one value given as one, which one undo takes back.")
    note: str = Field(default="", max_length=2000)
    over: int | None = Field(default=None, ge=1, lt=2**31, description="Another person's answer that this one knowingly overrules.")


class ValueAnswers(Taken):
    decisions: list[ValueAnswer] = Field(min_length=1, max_length=MOST_DECISIONS)


class ValueOutcome(BaseModel):
    """stored, repeated, conflict (another person's word stands), outweighed (one who counts more said it) or gone (no such live product)."""

    key: str
    state: str
    override_id: int | None
    value: str | None
    actor: str


class ValueOutcomes(Answer):
    outcomes: list[ValueOutcome]


class Stats(Answer):
    answered: int
    undone: int
    timed: int
    median_s: float | None
    p90_s: float | None
    gold: int = Field(description="Of their answers to a gold set those that are counted: whole tens, so that nobody learns which items these are.")
    gold_right: int
    by_action: dict[str, int]


class Agreement(BaseModel):
    """Of items asked twice: second (single answers), batch (answers given as one). Kappa is missing while only one kind of answer was given."""

    purpose: str
    n: int
    agreed: int
    kappa: float | None


class Agreements(Answer):
    agreements: list[Agreement]
