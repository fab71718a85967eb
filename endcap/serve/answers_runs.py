"""The shapes of what the API tells of runs and feeds."""

from __future__ import annotations

from pydantic import BaseModel, Field

from endcap.serve.answers import Answer, Day, Delivery, Taken


class Stage(BaseModel):
    """One stage of a run."""

    stage: str
    seconds: float
    cpu_s: float
    rows: dict[str, int]


class RunRow(BaseModel):
    """One attempt of a run."""

    attempt_id: int
    run: int
    state: str = Field(description="running, done, failed or died; a run whose process is gone has died.")
    from_snapshot: str | None
    snapshot_id: str | None
    started_at: str
    finished_at: str | None
    seconds: float | None
    usual_seconds: float | None = Field(description="The median of the last ten that were done.")
    read: int
    accepted: int
    quarantined: int
    held: int = Field(description="Deliveries that were held.")
    error: str | None
    failed_in: str | None = Field(description="The stage in which it failed.")


class Runs(Answer):
    """Attempts, the newest first."""

    runs: list[RunRow]


class Difference(BaseModel):
    """Products by what became of them from one snapshot to the next."""

    added: int
    removed: int
    changed: int
    merged: int
    unchanged: int
    changed_columns: dict[str, int]
    sample_ids: dict[str, list[str]]


class RunPage(Answer):
    """One attempt with its stages, its deliveries and what changed."""

    run: RunRow
    stages: list[Stage]
    deliveries: list[Delivery]
    notices: list[str]
    difference: Difference | None
    earlier: int | None = Field(description="The attempt before it.")
    later: int | None
    done_since: int | None = Field(description="The first attempt after it that was done; a failed one's work is in it.")


class Feed(BaseModel):
    """A feed's health. `state`: held, alarm (it drifts), waiting (for its first delivery), silent (others came, it did not) or served."""

    feed: str
    supplier: str
    state: str
    words: str
    live_offers: int
    served: Delivery | None
    held: Delivery | None
    released: bool = Field(description="A person let the held delivery through; the next run takes it in.")


class Feeds(Answer):
    """Feeds, those that need attention first."""

    feeds: list[Feed]


class Fill(BaseModel):
    """How many live offers of a feed state a field."""

    field: str
    stated: int
    share: float


class Read(BaseModel):
    """Where a field of an offer comes from."""

    field: str
    source: str


class ChangeOfReading(BaseModel):
    """A proposal of another mapping that names this feed and waits for somebody."""

    proposal_id: int
    state: str
    change: str


class FeedPage(Answer):
    """One feed: its deliveries, the band its volume may move in, what its offers state, why records are in quarantine."""

    feed: Feed
    least_offers: int | None = Field(description="Fewer offers in the next delivery hold it.")
    most_offers: int | None
    fill: list[Fill]
    quarantine: dict[str, int]
    mapping: list[Read]
    changes: list[ChangeOfReading]
    deliveries: list[Delivery]


class WouldChangeField(BaseModel):
    """What a field says and would say."""

    field: str
    was: str
    now: str


class WouldChange(BaseModel):
    """One offer that would vanish, change or be new."""

    kind: str = Field(description="vanished, changed or new.")
    offer_id: str
    title: str
    changes: list[WouldChangeField] = Field(description="Of a changed one: its fields that say something else.")


class HeldPage(Answer):
    """What letting a held delivery through would do to the offers that are served."""

    feed: str
    date: str
    vanished: int
    changed: int
    new: int
    takes_two: bool = Field(description="More than `govern.bulk` offers would change or vanish: two people have to let it through.")
    said_by: list[str] = Field(description="Who has let it through so far, of two.")
    samples: list[WouldChange] = Field(description="At most ten, of each kind in turn.")


class Let(Taken):
    """A held delivery that is let through, or held again."""

    date: Day
    reason: str = Field(min_length=1, max_length=2000)


class LetDone(Answer):
    """What stands now."""

    feed: str
    date: str
    released: bool
