"""The shapes of what matching and searching over the API take and send."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from endcap.serve.answers import Answer, Taken


class Asked(Taken):
    """One offer as a seller would send it."""

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    brand: str | None = Field(None, max_length=200)
    gtin: str | None = Field(None, max_length=40)
    mpn: str | None = Field(None, max_length=200)
    description: str | None = Field(None, max_length=10_000)
    quantity_text: str | None = Field(None, max_length=200)
    price: float | None = Field(None, ge=0, le=1e9)
    currency: str | None = Field(None, min_length=3, max_length=3)
    feed: str | None = Field(None, min_length=1, max_length=120, description="Where it comes from, one of /api/v1/feeds: offers of that feed are passed over.")
    k: int = Field(5, ge=1, le=50, description="How many candidates are shown, the most likely first, and the one decided on; at least so many are compared.")


class Evidence(BaseModel):
    """One bar; the contributions of all bars of a candidate sum to the log-odds of its probability."""

    name: str
    words: str
    contribution: float
    value: float | None


class MatchCandidate(BaseModel):
    """A product it may be, by its most alike offer."""

    product_id: str | None = Field(description="Null where that offer itself waits for a person.")
    title: str | None
    offer_id: str
    probability: float
    does: str = Field(description="link, ask or apart: what the policy allows for this pair.")
    words: str
    conflict: str | None
    evidence: list[Evidence]


class Match(Answer):
    """What the catalog would decide of the offer now; nothing is stored."""

    action: str = Field(description="linked, to_review or new_product.")
    product_id: str | None
    confidence: float
    reason_code: str
    reason: str
    model: str
    candidates: list[MatchCandidate]


class FoundProduct(BaseModel):
    """A product that was searched for."""

    product_id: str
    title: str
    brand: str | None
    category: str | None
    gtin: str | None
    offers: int
    similarity: float


class Found(Answer):
    """Products by text, the most alike first."""

    products: list[FoundProduct]
