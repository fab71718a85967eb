"""Products: search the catalog by title, brand, GTIN or id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/products", response_model=None)
def show(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    category: Annotated[str, Query(max_length=400)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """One page of the products that were searched."""
    return page_of(request, "products.html", listed=asking.products(request.state.reading, q, category, page))


CASES = [("/products", 200, "2 products"), ("/products?q=tasse", 200, "1 product"), ("/products?q=nothing", 200, "No product holds all of these words")]
