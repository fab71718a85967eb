"""Feeds: which need attention, and each one's deliveries, volume, fill and quarantine."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.serve import asking_runs
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/feeds", response_model=None)
def show(request: Request) -> Response:
    """Every feed, those that need attention first."""
    return page_of(request, "feeds.html", feeds=asking_runs.feeds(request.state.reading).feeds)


@router.get("/feeds/{feed}", response_model=None)
def show_one(request: Request, feed: str) -> Response:
    """One feed."""
    return page_of(request, "feed.html", told=asking_runs.feed(request.state.reading, feed))


CASES = [("/feeds", 200, "need attention"), ("/feeds/nord", 200, "How it is read"), ("/feeds/none", 404, "There is no feed")]
