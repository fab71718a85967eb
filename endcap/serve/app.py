"""The web application: pages from their shelf, the API, static files, one error shape, and a gate before every route."""

from __future__ import annotations

from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import endcap
from endcap import shelf
from endcap.ops.oidc import provider_of
from endcap.ops.pictures import pictures_of
from endcap.problems import BadInput, Held
from endcap.serve import api, api_governing, api_match, api_models, api_product, api_reconcile, api_review, api_runs, api_values, pictures, signing_in
from endcap.serve.answers import ProblemAnswer
from endcap.serve.asking import Conflict, NotFound
from endcap.serve.described import Described
from endcap.serve.gate import Gate, admit
from endcap.serve.limits import Limits
from endcap.serve.problems_shown import EveryAnswer, on_bad_input, on_conflict, on_held, on_http, on_invalid, on_not_found
from endcap.serve.reading import Home, Readings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def make_app(home: Home, gate: Gate, hosts: tuple[str, ...] = LOOPBACK, limits: Limits | None = None, *, development: bool = False) -> FastAPI:
    """The application over one catalog.

    In: the catalog's home, the gate that tells who asks, and the host names it answers to (others are refused, so that no foreign page can
    read it through a name that leads here), how much one actor may ask, and whether the style page is served. Out: an ASGI application.
    """
    app = Described(
        title="endcap", version=endcap.__version__, description="A product catalog at one snapshot, and the review of what waits for a person.",
        docs_url=None, redoc_url=None, dependencies=[Depends(admit)],
        responses={code: {"model": ProblemAnswer} for code in (400, 401, 403, 404, 408, 409, 412, 413, 422, 428, 429, 500)},
    )  # fmt: skip
    readings = Readings(home)
    app.state.home, app.state.gate, app.state.readings, app.state.limits = home, gate, readings, limits or Limits()
    app.state.provider, app.state.development = provider_of(home.catalog), development
    app.state.pictures = pictures_of(home.catalog, home.path)
    handlers = (
        (NotFound, on_not_found), (Conflict, on_conflict), (HTTPException, on_http), (RequestValidationError, on_invalid), (BadInput, on_bad_input),
        (Held, on_held),
    )  # fmt: skip
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)
    parts = (api, api_match, api_reconcile, api_product, api_review, api_values, api_runs, api_models, api_governing, signing_in, pictures)
    for part in parts:
        app.include_router(part.ROUTER)
    for page in shelf.components("pages").values():
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_middleware(EveryAnswer, readings=readings, hosts=hosts)
    return app
