"""Deeds on proposals, thresholds, loops and switches under /api/v1: each is the govern room's, with the person's name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request

from endcap.decide.in_force import at_snapshot
from endcap.govern import loops, promotion, proposals
from endcap.govern.evidence import words_of
from endcap.govern.proposal_files import Head
from endcap.govern.switches import switch
from endcap.problems import BadInput
from endcap.serve import answers_models as answers
from endcap.serve import asking_models, asking_thresholds
from endcap.serve.api import Pinned
from endcap.serve.api_models import Number
from endcap.serve.api_review import Writing
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1")
# A proposal of a threshold made on the page: what it is to be measured by, unless somebody writes more.
NEEDED = 256


@ROUTER.post("/proposals/{proposal_id}/accept")
def accept(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Reason) -> answers.Done:
    """Agree to a proposal, so that it may be validated."""
    return _proposed(reading, proposals.accept(home, _known(reading, proposal_id), actor=_everywhere(request), reason=given.reason))


@ROUTER.post("/proposals/{proposal_id}/reject")
def reject(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Reason) -> answers.Done:
    """Decide against a proposal."""
    return _proposed(reading, proposals.reject(home, _known(reading, proposal_id), actor=_everywhere(request), reason=given.reason))


@ROUTER.post("/proposals/{proposal_id}/withdraw")
def withdraw(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Reason) -> answers.Done:
    """Take a proposal back."""
    return _proposed(reading, proposals.withdraw(home, _known(reading, proposal_id), actor=_everywhere(request), reason=given.reason))


@ROUTER.post("/proposals/{proposal_id}/validate")
def validate(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Reason) -> answers.Done:
    """Replay a proposal's change on judged cases; this answers when the verdict is there."""
    return _proposed(reading, proposals.validate(home, _known(reading, proposal_id), actor=_everywhere(request)))


@ROUTER.post("/proposals/{proposal_id}/promote")
def promote(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Promoting) -> answers.Done:
    """Put a proposal's change in force, or try it as a shadow or a canary; the gate refuses what was not accepted and validated."""
    number, actor = _known(reading, proposal_id), _everywhere(request)
    promotion.promote(home, number, actor=actor, reason=given.reason, stage=given.stage, scope=given.scope, overrule=given.overrule)
    return _proposed(reading, proposals.proposal(home, proposal_id))


@ROUTER.post("/proposals/{proposal_id}/rollback")
def rollback(request: Request, reading: Pinned, home: Writing, proposal_id: Number, given: answers.Reason) -> answers.Done:
    """Take a proposal's change out of force; the next run restores what was decided before."""
    row = proposals.proposal(home, _known(reading, proposal_id))
    kind = str(row["artefact_kind"])
    if row["state"] in proposals.RUNNING:
        promotion.stop(home, actor=_everywhere(request), reason=given.reason, kind=kind)
    elif row["artefact"] == home.champion(kind):
        promotion.rollback(home, actor=_everywhere(request), reason=given.reason, kind=kind)
    else:
        raise BadInput(f"proposal {proposal_id} is not in force", where="rollback", todo="see /models for what is")
    return _proposed(reading, proposals.proposal(home, proposal_id))


@ROUTER.post("/thresholds/propose")
def propose_threshold(request: Request, reading: Pinned, home: Writing, given: answers.ThresholdWished) -> answers.Done:
    """Propose another threshold, with what it would change as its evidence."""
    accept_now = at_snapshot(reading.home).policy.accept
    if given.accept == accept_now:
        raise BadInput(f"links are made from {accept_now:g} on already", where="accept", todo="name another threshold")
    side = asking_thresholds.change_of_side(reading, accept_now, given.accept)
    because = given.reason.strip().rstrip(".")
    head = Head(
        kind="threshold", title=f"link from {given.accept:g}", metric="automated_success.success", smallest_effect=0.5, needed=NEEDED,
        hypothesis=f"We believe that linking from {given.accept:g} for everything will {side} because {because}.",
        change=f"policy.accept {accept_now:g} becomes {given.accept:g}", guard_rails=["override_rate", "match_rate"],
        plan="replay on the audited decisions, paired, then in production", rollback_trigger="audited precision falls below its floor",
        evidence=side, set={"accept": given.accept},
    )  # fmt: skip
    return _proposed(reading, proposals.propose(home, head, actor=_everywhere(request)))


@ROUTER.post("/loops")
def report(request: Request, reading: Pinned, home: Writing, given: answers.Report) -> answers.Done:
    """Report a problem; where the case was reported before, the oldest report goes on."""
    told = given.model_dump(exclude={"title", "counterpart_offer_id"})
    source = "api" if request.headers.get("authorization") else "page"
    row = loops.report(home, title=given.title, reporter=_name(request), source=source, other=given.counterpart_offer_id, **told)
    return _looped(reading, row)


@ROUTER.post("/loops/{loop_id}/acknowledge")
def acknowledge(request: Request, reading: Pinned, home: Writing, loop_id: Number, given: answers.Reason) -> answers.Done:
    """Take a problem on."""
    asking_models.loop(reading, loop_id)
    return _looped(reading, loops.acknowledge(home, loop_id, actor=_name(request)))


@ROUTER.post("/loops/{loop_id}/verify")
def verify(request: Request, reading: Pinned, home: Writing, loop_id: Number, given: answers.Reason) -> answers.Done:
    """Replay the case and its siblings under the champion, without their own answers."""
    asking_models.loop(reading, loop_id)
    return _looped(reading, loops.verify(home, loop_id, actor=_name(request)))


@ROUTER.post("/loops/{loop_id}/reopen")
def reopen(request: Request, reading: Pinned, home: Writing, loop_id: Number, given: answers.Reason) -> answers.Done:
    """Open a closed problem again; its clock goes on."""
    asking_models.loop(reading, loop_id)
    return _looped(reading, loops.reopen(home, loop_id, actor=_name(request), why=given.reason))


@ROUTER.post("/loops/{loop_id}/close")
def close(request: Request, reading: Pinned, home: Writing, loop_id: Number, given: answers.Closing) -> answers.Done:
    """Close a problem whose case comes out right by itself; from then on it is a test."""
    asking_models.loop(reading, loop_id)
    return _looped(reading, loops.close(home, loop_id, actor=_name(request), cause=given.cause, comment=given.comment))


@ROUTER.post("/switches")
def turn(request: Request, reading: Pinned, home: Writing, given: answers.Switching) -> answers.Done:
    """Turn automation off or on in a scope; it holds from the next decision on."""
    switch(home, given.scope, automation=given.automation, actor=_everywhere(request), reason=given.reason)
    state = "on" if given.automation else "off"
    return answers.Done(snapshot=reading.snapshot_id, number=0, state=state, words=f"automation is {state} for {given.scope} from the next run on")


def _name(request: Request) -> str:
    return person_of(request).name


def _everywhere(request: Request) -> str:
    """Who asks, where their role holds everywhere: a change of what decides is nobody's who has but a part of the catalog."""
    person = person_of(request)
    if person.scopes is not None:
        raise HTTPException(403, f"this changes what decides everywhere; the role of {person.name} holds in a part of the catalog")
    return person.name


def _known(reading: Reading, proposal_id: int) -> int:
    """The number, where there is such a proposal. Raises NotFound."""
    return asking_models.proposal(reading, proposal_id).proposal.proposal_id


def _proposed(reading: Reading, row: dict[str, Any]) -> answers.Done:
    """What is proposed, where that is new; else what was done last."""
    words = row["hypothesis"] if row["state"] in proposals.EDITABLE else words_of(row["steps"][-1])
    return answers.Done(snapshot=reading.snapshot_id, number=row["proposal_id"], state=row["state"], words=words)


def _looped(reading: Reading, row: dict[str, Any]) -> answers.Done:
    told = row.get("replay", {})
    return answers.Done(snapshot=reading.snapshot_id, number=row["loop_id"], state=loops.state_of(row), words=told.get("words", row["title"]))
