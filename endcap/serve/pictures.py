"""An offer's picture, from our own address: no page of ours asks a supplier's server, and no supplier learns who looks."""

from __future__ import annotations

import logging

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from endcap.ops.pictures import Picture, Pictures
from endcap.problems import Problem
from endcap.serve.asking import NotFound
from endcap.serve.reading import Reading
from endcap.serve.templating import web_address

LOG = logging.getLogger("endcap.serve")
ROUTER = APIRouter(include_in_schema=False)
# Suppliers' servers may be slow; so many are asked at once, and whoever waits for one holds no thread that others need.
AT_ONCE = 8
HINT = "the page shows the first letters of its title instead"


@ROUTER.get("/pictures/{offer_id:path}", response_model=None)
async def show(request: Request, offer_id: str) -> Response:
    """The picture of a live offer, kept here or fetched now."""
    state, reading = request.app.state, request.state.reading
    if not state.home.catalog.pictures:
        raise NotFound("this catalog shows no pictures", "set `pictures: true` in its settings")
    address = await to_thread.run_sync(_address_of, reading, offer_id)
    found: Picture | None = await to_thread.run_sync(state.pictures.kept, address)
    if found is None:
        if not hasattr(state, "fetching"):
            state.fetching = CapacityLimiter(AT_ONCE)  # it belongs to the loop that runs, which there is only now
        found = await to_thread.run_sync(_fetched, state.pictures, address, offer_id, limiter=state.fetching)
    headers = {"ETag": f'"{found.tag}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.kind, headers=headers)


def _address_of(reading: Reading, offer_id: str) -> str:
    rows = reading.find("offers", "offer_id", [offer_id], ("image_url",))
    address = web_address(rows[0]["image_url"]) if rows else None
    if address is None:
        raise NotFound(f"there is no picture of {offer_id!r}", HINT)
    return address


def _fetched(pictures: Pictures, address: str, offer_id: str) -> Picture:
    try:
        return pictures.fetch(address)
    except Problem as problem:
        LOG.info("no picture of %r: %s", offer_id, problem.sentence())
        raise NotFound(f"the picture of {offer_id!r} cannot be had", HINT) from None
