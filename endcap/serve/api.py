"""The API under /api/v1: the same answers as the pages, as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from endcap.ops.home import Home
from endcap.serve import answers, asking, asking_overview, asking_pair, asking_product
from endcap.serve.answering import Answering
from endcap.serve.asking import NotFound
from endcap.serve.cursors import cursor_of, read_cursor
from endcap.serve.gate import person_of
from endcap.serve.problems_shown import shown
from endcap.serve.reading import Reading
from endcap.serve.templating import in_path

ROUTER = APIRouter(prefix="/api/v1", route_class=Answering)


async def reading_of(request: Request) -> Reading:
    """The snapshot pinned to this request."""
    reading: Reading = request.state.reading
    return reading


def as_of(request: Request, version: str) -> Reading:
    """An earlier snapshot. Raises NotFound."""
    reading: Reading | None = request.app.state.readings.at(version)
    if reading is None:
        raise NotFound(f"there is no version {version!r}", "every snapshot is listed at /api/v1/snapshots")
    request.state.as_of = version
    return reading


Pinned = Annotated[Reading, Depends(reading_of)]
Page = Annotated[int, Query(ge=1, le=100_000, description="Which page, from 1.")]
Version = Annotated[str, Query(max_length=64, description="A snapshot's id: the catalog as it was then. Without it, as it is.")]
Search = Annotated[str, Query(max_length=200, description="Words that must all occur in title, brand, GTIN or id.")]


@ROUTER.get("/overview")
def overview(request: Request, reading: Pinned) -> answers.Overview:
    """What is served, what was decided, what needs a person: how much waits is what the desks hand out to whoever asks."""
    home = request.app.state.home
    return asking_overview.overview(reading, home if isinstance(home, Home) else None, person_of(request))


@ROUTER.get("/products")
def products(
    request: Request, reading: Pinned, q: Search = "", category: Annotated[str, Query(max_length=400)] = "", page: Page = 1,
    cursor: Annotated[str, Query(max_length=4000, description="`next` of the answer before: the rows after it, of that snapshot and that search.")] = "",
) -> answers.ProductList:  # fmt: skip
    """Live products, searched and paged; by cursor a whole list is one snapshot's, whatever is published meanwhile."""
    if cursor:
        place = read_cursor(cursor, (q, category))
        reading, page = as_of(request, place.snapshot_id or ""), place.offset // asking.ROWS_A_PAGE + 1
        q, category = place.search
    found = asking.products(reading, q, category, page)
    found.next = cursor_of(reading.snapshot_id, page * asking.ROWS_A_PAGE, (q, category)) if page < found.pages else None
    return found


@ROUTER.get(
    "/products/{product_id}",
    response_model=answers.Product,
    responses={301: {"model": answers.ProblemAnswer, "description": "Merged into the product in Location."}},
)
def product(request: Request, reading: Pinned, product_id: str, page: Page = 1, version: Version = "") -> answers.Product | Response:
    """One product: values with provenance, offers with their decisions, history; as of any version."""
    if version:
        return asking_product.product(as_of(request, version), product_id, page)
    leads_to = asking_product.end_of_merges(reading, product_id)
    if leads_to is not None:
        moved = shown(request, 301, "merged", f"{product_id} was merged into {leads_to}", "follow Location")
        moved.headers["Location"] = f"/api/v1/products/{in_path(leads_to)}"
        return moved
    return asking_product.product(reading, product_id, page)


@ROUTER.get("/offers/{offer_id:path}")
def offer(reading: Pinned, offer_id: str) -> answers.Offer:
    """One offer: as sent, what was believed of it, compared with it and decided."""
    return asking_product.offer(reading, offer_id)


@ROUTER.get("/pairs")
def pair(
    reading: Pinned,
    left: Annotated[str, Query(max_length=400, description="An offer's id.")],
    right: Annotated[str, Query(max_length=400, description="Another offer's id; ids may hold slashes, so that they are not part of the path.")],
) -> answers.OfferPair:
    """Any two offers: how far the pair came on the way to one product, and its score as a sum of bars in words."""
    return asking_pair.pair(reading, left, right)


@ROUTER.get("/review")
def review(reading: Pinned, kind: Literal["product", "category"] = "product", page: Page = 1) -> answers.Review:
    """Decisions that wait for a person."""
    return asking.review(reading, kind, page)


@ROUTER.get("/metrics")
def metrics(reading: Pinned) -> answers.Figures:
    """Every figure with its n, interval and words."""
    return answers.Figures(snapshot=reading.snapshot_id, figures=asking.figures(reading))


@ROUTER.get("/snapshots")
def snapshots(reading: Pinned) -> answers.Snapshots:
    """Every snapshot, the newest first."""
    return asking.snapshots(reading)


@ROUTER.get("/deliveries")
def deliveries(reading: Pinned) -> answers.Deliveries:
    """Every delivery, the newest first."""
    return asking.deliveries(reading)


@ROUTER.get("/deliveries/{delivery_id}/quarantine")
def quarantine(reading: Pinned, delivery_id: str, page: Page = 1) -> answers.Quarantine:
    """The records of one delivery that broke the contract."""
    return asking.quarantine(reading, delivery_id, page)


@ROUTER.get("/me")
def me(request: Request, reading: Pinned) -> answers.Me:
    """Who is asking."""
    person = person_of(request)
    scopes = None if person.scopes is None else [one.words() for one in person.scopes]
    return answers.Me(snapshot=reading.snapshot_id, name=person.name, role=person.role, scopes=scopes)


@ROUTER.get("/health")
def health(reading: Pinned) -> answers.Health:
    """Whether the catalog can be read."""
    reading.row("SELECT 1 AS one")
    return answers.Health(snapshot=reading.snapshot_id, status="ok")
