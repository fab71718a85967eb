"""Runs and feeds under /api/v1, and the two deeds of a lead on a held delivery: let it through, hold it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from endcap.feeds.release import hold_again, release_delivery
from endcap.ops.home import Home
from endcap.review.reach import chosen
from endcap.serve import answers_runs as answers
from endcap.serve import asking_runs
from endcap.serve.answering import Answering
from endcap.serve.answers import Day
from endcap.serve.api import Pinned
from endcap.serve.api_review import Writing
from endcap.serve.gate import person_of
from endcap.serve.reading import Reading

ROUTER = APIRouter(prefix="/api/v1", route_class=Answering)
AttemptId = Annotated[int, Path(ge=0, lt=2**31)]


@ROUTER.get("/runs")
def runs(reading: Pinned) -> answers.Runs:
    """Every attempt of a run, the newest first."""
    return asking_runs.runs(reading)


@ROUTER.get("/runs/{attempt_id}")
def run(request: Request, reading: Pinned, attempt_id: AttemptId) -> answers.RunPage:
    """One attempt: its stages, its deliveries, and what it changed."""
    return asking_runs.run(reading, home_of(request), attempt_id)


@ROUTER.get("/feeds")
def feeds(reading: Pinned) -> answers.Feeds:
    """Every feed, those that need attention first."""
    return asking_runs.feeds(reading)


@ROUTER.get("/feeds/{feed}")
def feed(reading: Pinned, feed: str) -> answers.FeedPage:
    """One feed's health."""
    return asking_runs.feed(reading, feed)


@ROUTER.get("/feeds/{feed}/held/{date}")
def held(reading: Pinned, home: Writing, feed: str, date: Day) -> answers.HeldPage:
    """What a held delivery would change, with a few of its offers: its file is read anew."""
    return asking_runs.held(reading, home, feed, date)


@ROUTER.post("/feeds/{feed}/release")
def release(request: Request, reading: Pinned, home: Writing, feed: str, given: answers.Let) -> answers.LetDone:
    """Let a held delivery through: the next run takes it in, whatever the guards that compare shares say.

    Where more than `govern.bulk` offers change or vanish the first person is noted and told so by a 422; the second, within 14 days, lets it through.
    """
    _check_reach(reading, request, feed)
    release_delivery(home, feed, given.date, actor=person_of(request).name, reason=given.reason)
    return answers.LetDone(snapshot=reading.snapshot_id, feed=feed, date=given.date, released=True)


@ROUTER.post("/feeds/{feed}/hold")
def hold(request: Request, reading: Pinned, home: Writing, feed: str, given: answers.Let) -> answers.LetDone:
    """Take a release back before a run has taken the delivery in."""
    _check_reach(reading, request, feed)
    hold_again(home, feed, given.date, actor=person_of(request).name, reason=given.reason)
    return answers.LetDone(snapshot=reading.snapshot_id, feed=feed, date=given.date, released=False)


def _check_reach(reading: Reading, request: Request, feed: str) -> None:
    """Raises NotFound for a feed that is not there and, in the same words, for one that is not this person's to let through."""
    asking_runs.feed(reading, feed)
    person = person_of(request)
    if person.scopes is not None and not chosen(reading, person, "feed", [feed], "lead"):
        raise asking_runs.no_feed(feed)


def home_of(request: Request) -> Home | None:
    """The catalog's home where it is a real one, with published folders to compare."""
    home = request.app.state.home
    return home if isinstance(home, Home) else None
