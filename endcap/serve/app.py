"""The web application: pages from their shelf, the API, static files, one error shape."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import endcap
from endcap import shelf
from endcap.serve import api
from endcap.serve.answers import ProblemAnswer
from endcap.serve.asking import NotFound
from endcap.serve.problems_shown import EveryAnswer, on_http, on_invalid, on_not_found
from endcap.serve.reading import Home, Readings

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def make_app(home: Home, hosts: tuple[str, ...] = LOOPBACK) -> FastAPI:
    """The application over one catalog, read-only.

    In: the catalog's home, and the host names it answers to (others are refused, so that no foreign page can read it
    through a name that leads here). Out: an ASGI application.
    """
    app = FastAPI(
        title="endcap", version=endcap.__version__, description="A product catalog at one snapshot, read-only.",
        docs_url=None, redoc_url=None, responses={code: {"model": ProblemAnswer} for code in (404, 422, 500)},
    )  # fmt: skip
    for kind, handler in ((NotFound, on_not_found), (HTTPException, on_http), (RequestValidationError, on_invalid)):
        app.add_exception_handler(kind, handler)
    app.include_router(api.ROUTER)
    for page in shelf.components("pages").values():
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_middleware(EveryAnswer, readings=Readings(home), hosts=hosts)
    return app
