"""The shapes of what the API tells of thresholds: what each would decide, what audits say of it, and what would change side."""

from __future__ import annotations

from pydantic import BaseModel, Field

from endcap.serve.answers import Answer


class Band(BaseModel):
    """The machine's decisions of one band of likeness: `low` counts, `high` does not."""

    low: float
    high: float
    linked: int
    asked: int
    audited: int
    right: int
    least: float | None = Field(description="Lower bound of the share that is right, 95 % (Clopper-Pearson); null where nothing was audited.")
    most: float | None


class Cut(BaseModel):
    """What linking from a likeness on would mean."""

    threshold: float
    linked: int = Field(description="Offers linked by machine then.")
    share: float = Field(description="Of all that are alike to one half or more.")
    audited: int
    right: int
    bound: float | None = Field(description="What the audits above it prove of the precision, at 90 % confidence; null where there is none.")


class Curve(Answer):
    """Every threshold of the grid, from one half to one."""

    accept: float = Field(description="From where the machine links today, where no promise says otherwise.")
    promised: dict[str, str] = Field(description="What is promised by scope, in words.")
    step: float
    bands: list[Band]
    cuts: list[Cut]


class Sample(BaseModel):
    """A decision that would change side."""

    offer_id: str
    title: str
    supplier: str
    counterpart_offer_id: str
    counterpart_title: str
    likeness: float
    action: str
    reason: str


class Samples(Answer):
    """Decisions between two thresholds, spread evenly over them."""

    low: float
    high: float
    found: int
    samples: list[Sample]
