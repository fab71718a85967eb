"""The shapes of what the API tells of proposals, models and loops."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from endcap.serve.answers import Answer, Taken


class ProposalRow(BaseModel):
    """A proposal in a list."""

    proposal_id: int
    state: str
    kind: str
    owner: str
    approver: str | None
    automatic: bool = Field(description="Written by endcap itself.")
    hypothesis: str
    scope: str
    change: str
    metric: str
    effect: str
    artefact: str | None
    artefact_kind: str | None = Field(description="Of what kind it is: match, infer, policy, mapping or taxonomy.")
    verdict: str | None
    created_at: str
    decided_at: str | None
    promoted_at: str | None
    confirm_on: str | None


class Proposals(Answer):
    """Proposals, those that somebody must decide first, then the newest."""

    proposals: list[ProposalRow]
    by_state: dict[str, int]


class ProposalStep(BaseModel):
    """What happened to a proposal; `state` is the one it was in then."""

    words: str
    state: str
    actor: str
    reason: str
    at: str


class SliceRow(BaseModel):
    """One part of the gate: how champion and challenger did on the same audited offers of it."""

    slice: str
    n: int
    champion: float | None
    challenger: float | None
    low: float | None = Field(description="Of the difference, challenger less champion.")
    high: float | None
    needed: int = Field(description="Cases that it takes to see a drop that matters.")
    result: str = Field(description="pass, fail or not evaluable.")


class ChangedDecision(BaseModel):
    """A decision that would be another one."""

    offer_id: str
    title: str
    before: str
    after: str


class PostmortemRow(BaseModel):
    """What is learned from a failure."""

    postmortem_id: int
    proposal_id: int | None
    title: str
    cause: str
    owner: str
    text: str
    opened_at: str
    due_on: str
    closed_at: str | None


class ProposalPage(Answer):
    """One proposal: what is believed, what was measured, what would change, and what happened to it."""

    proposal: ProposalRow
    text: str
    steps: list[ProposalStep]
    cases: int | None = Field(description="Judged cases that both decided again; null before it was validated.")
    slices: list[SliceRow]
    reasons: list[str] = Field(description="Of the verdict.")
    claims: list[str] = Field(description="The plan's metric and guard rails as the replay measured them.")
    changed: int | None = Field(description="Decisions that would be other ones.")
    anew: int = Field(description="Decisions that change whoever decides, since a new champion decides everything anew.")
    merged: int | None = Field(description="Products that would take in others.")
    split: int | None
    changed_by: dict[str, int] = Field(description="How many decisions of which kind would become which.")
    samples: list[ChangedDecision]
    postmortems: list[PostmortemRow]


class PromotionRow(BaseModel):
    """Something that came into force, or went."""

    promotion_id: int | None = Field(description="None of an edit: nobody promoted it.")
    kind: str
    model_id: str
    previous: str | None
    action: str = Field(description="promote, rollback, shadow, canary or stop; edit where a run decided by another policy because the file was edited.")
    actor: str
    reason: str
    data_version: str
    at: str
    proposal_id: int | None
    scope: str | None


class TrialRow(BaseModel):
    """A challenger that was judged."""

    trial_id: str
    challenger: str
    champion: str | None
    labels: int
    n: int
    challenger_right: int | None
    champion_right: int | None
    data_version: str
    verdict: str


class Models(Answer):
    """What is in force, what came and went, and what was tried."""

    champions: dict[str, str]
    policy: str = Field(description="By which policy the current snapshot was decided, in words.")
    promotions: list[PromotionRow]
    trials: list[TrialRow]
    postmortems: list[PostmortemRow]


class LoopRow(BaseModel):
    """One reported problem."""

    loop_id: int
    title: str
    source: str
    state: str = Field(description="open, acknowledged, decided, released, in_snapshot, verified or closed: the furthest it came.")
    offer_id: str | None
    counterpart_offer_id: str | None
    product_id: str | None
    expected: str | None
    field: str | None
    value: str | None
    reporter: str
    owner: str
    duplicate_of: int | None
    override_id: int | None
    opened_at: str
    acknowledged_at: str | None
    decided_at: str | None
    released_at: str | None
    in_snapshot_at: str | None
    verified_at: str | None
    closed_at: str | None
    reopened: int
    cause: str | None
    comment: str | None
    days: float | None = Field(description="From opened to closed, or until the newest run.")


class Loops(Answer):
    """Reported problems, the oldest open ones first."""

    loops: list[LoopRow]
    open: int
    closed: int


class LoopPage(Answer):
    """One reported problem with its last replay."""

    loop: LoopRow
    replay: dict[str, Any] = Field(description="What became of the case and its siblings under the champion, without their own answers.")


class SwitchRow(BaseModel):
    """Whether the machine may decide in a scope."""

    scope: str
    automation: bool
    actor: str
    reason: str
    at: str


class AlarmRow(BaseModel):
    """A drift that was noticed."""

    alarm_id: int
    run: int
    name: str
    scope: str
    cause: str
    words: str
    at: str


class Switches(Answer):
    """Where automation was switched, the newest word of each scope, and the alarms that are open."""

    switches: list[SwitchRow]
    alarms: list[AlarmRow]


class Reason(Taken):
    """Why."""

    reason: str = Field(min_length=1, max_length=2000)


class Report(Taken):
    """A problem that somebody reports."""

    title: str = Field(min_length=1, max_length=400)
    offer_id: str | None = Field(None, max_length=400)
    counterpart_offer_id: str | None = Field(None, max_length=400)
    product_id: str | None = Field(None, max_length=64)
    expected: str | None = Field(None, pattern="^(same|different)$")
    field: str | None = Field(None, max_length=80)
    value: str | None = Field(None, max_length=2000)


class Promoting(Reason):
    """How something comes into force."""

    stage: str = Field("promote", pattern="^(promote|shadow|canary)$")
    scope: str | None = Field(None, max_length=400, description="Of a canary.")
    overrule: bool = Field(False, description="Knowingly against the verdict; it is counted, and may take a second person.")


class ThresholdWished(Taken):
    """A threshold that somebody proposes."""

    accept: float = Field(ge=0.5, le=1)
    reason: str = Field(min_length=1, max_length=1000)


class RollingBack(Reason):
    """What is gone back on."""

    kind: str = Field("match", max_length=40)


class Done(Answer):
    """What was done, in words."""

    number: int
    state: str
    words: str


class Closing(Taken):
    """With what a loop is closed."""

    cause: str = Field(min_length=1, max_length=40)
    comment: str = Field(min_length=1, max_length=4000)


class Switching(Taken):
    """Whether the machine may decide in a scope."""

    scope: str = Field(min_length=1, max_length=400)
    automation: bool
    reason: str = Field(min_length=1, max_length=2000)
