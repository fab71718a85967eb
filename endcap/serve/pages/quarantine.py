"""Quarantine: the records of a delivery that could not be read or broke the contract, with their raw bytes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from endcap.serve import asking
from endcap.serve.templating import page_of

router = APIRouter(include_in_schema=False)


@router.get("/quarantine/{delivery_id}", response_model=None)
def show(request: Request, delivery_id: str, page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """One page of a delivery's quarantined records."""
    return page_of(request, "quarantine.html", quarantine=asking.quarantine(request.state.reading, delivery_id, page))


CASES = [
    ("/quarantine/nord@2024-05-02", 200, "no title"), ("/quarantine/sued@2024-05-02", 200, "No record of this delivery is in quarantine"),
    ("/quarantine/nosuch@1", 404, "There is no delivery"),
]  # fmt: skip
