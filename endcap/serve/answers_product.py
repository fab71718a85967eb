"""The shapes of what the API takes and sends about changes of a product."""

from __future__ import annotations

from pydantic import BaseModel, Field

from endcap.review.product import MOST_CHARACTERS, MOST_OFFERS
from endcap.serve.answers import Answer, Day, Taken


class Deed(Taken):
    """What is common to everything a person does to a product."""

    key: str = Field(min_length=8, max_length=64, description="The client's own; the same deed sent twice is stored once.")
    note: str = Field("", max_length=2000)


class FieldSet(Deed):
    """A value that is served instead of the suppliers'."""

    field: str = Field(max_length=80)
    value: str = Field(max_length=10 * MOST_CHARACTERS)
    lock: bool = Field(False, description="Holds whatever the suppliers say later; takes the role lead.")
    until: Day | None = Field(None, description="The last delivery date for which it holds.")
    shared: bool = Field(False, description="A GTIN that another product has too is meant all the same; without it that is a 409 which names the product.")


class Parting(Taken):
    """Offers that are a product of their own."""

    offer_ids: list[str] = Field(min_length=1, max_length=MOST_OFFERS)


class Joining(Taken):
    """The product that takes this one's offers."""

    into: str = Field(min_length=1, max_length=64)


class Split(Deed, Parting):
    """Offers to be split off."""


class Merge(Deed, Joining):
    """The product to be merged into."""


class Stored(Answer):
    """What was stored; the next run takes it in."""

    override_ids: list[int]
    group_id: str
    repeated: bool = Field(description="It was stored before under the same key; nothing was stored now.")
    version: str = Field(description="The product's version now, for the next If-Match.")


class Foreseen(Answer):
    """What a split or merge would do at the next run; nothing is stored."""

    product_id: str
    other_id: str
    offers: int
    other_offers: int
    samples: list[str]
    contradictions: list[str]


class Said(BaseModel):
    """One standing answer about a product or one of its offers."""

    override_id: int
    group_id: str | None
    action: str
    offer_id: str
    field: str | None
    value: str | None
    said: str | None = Field(description="What the suppliers said of the field then.")
    until: str | None
    actor: str
    role: str | None
    at: str
    note: str
    waits: bool = Field(description="The next run takes it in.")
    overruled: bool = Field(description="Another answer about the field is served.")


class Asked(BaseModel):
    """A field that a person set and of which the suppliers now say something new."""

    field: str
    says: str | None
    words: str
    override_id: int | None


class SaidOfProduct(Answer):
    """What people said of a product."""

    version: str = Field(description="To be sent as If-Match with the next change.")
    fields: list[str] = Field(description="Fields that can be set.")
    said: list[Said]
    asked: list[Asked]


class Suggestions(Answer):
    """Values of a field that the catalog knows, the most used first."""

    values: list[str]


class Version(BaseModel):
    """A field of a product from a run on."""

    run: int
    value: str | None
    source_offer_id: str | None
    extractor: str | None
    override_id: int | None
    confidence: float | None


class FieldHistory(Answer):
    """Every value a field had, the newest first."""

    product_id: str
    field: str
    versions: list[Version]


class Undone(Answer):
    """What was taken back."""

    override_ids: list[int]
