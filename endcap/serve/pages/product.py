"""Product: its values and where each came from, its offers and why they belong to it, and its history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from endcap.serve import asking_product
from endcap.serve.api import Version, as_of
from endcap.serve.templating import in_path, page_of

router = APIRouter(include_in_schema=False)


@router.get("/p/{product_id}", response_model=None)
def show(
    request: Request, product_id: str, page: Annotated[int, Query(ge=1, le=100_000)] = 1, merged: Annotated[str, Query(max_length=100)] = "",
    version: Version = "",
) -> Response:  # fmt: skip
    """One product, as it is or as of a version; a merged id leads on to where it went, a gone one shows its last good values."""
    now = request.state.reading
    reading = as_of(request, version) if version else now
    leads_to = asking_product.end_of_merges(reading, product_id)
    if leads_to is not None and not version:
        return RedirectResponse(f"/p/{in_path(leads_to)}?merged={in_path(product_id)}", 301)
    product = asking_product.product(reading, product_id, page)
    # The note is shown only where it is true, whatever the address says.
    came_from = merged if merged and asking_product.end_of_merges(reading, merged) == product_id else ""
    older, newer = asking_product.versions_beside(now, product_id, reading.snapshot_id)
    # The last change is shown as it is now, where it can be worked on, and not as of the snapshot that brought it.
    to_now = bool(version) and (newer is None or asking_product.versions_beside(now, product_id, newer)[1] is None)
    status = 410 if product.state == "gone" and not version else 200
    return page_of(request, "product.html", status=status, product=product, came_from=came_from, older=older, newer=newer, to_now=to_now, version=version)


CASES = [("/p/p1", 200, "Where each value comes from"), ("/p/p3", 301, ""), ("/p/p9", 410, "no longer offered"), ("/p/none", 404, "There is no product")]
