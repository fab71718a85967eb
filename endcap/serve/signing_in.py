"""Coming in and going out: the link that was printed, a name with its password, and the end of a session."""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import parse_qs, quote, unquote, urlsplit

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from endcap.ops import access
from endcap.ops.oidc import Provider
from endcap.problems import Problem
from endcap.serve.asking import NotFound
from endcap.serve.gate import COOKIE
from endcap.serve.templating import page_of

LOG = logging.getLogger("endcap.serve")
ROUTER = APIRouter(include_in_schema=False)
AFTER = "/review"
MOST_FORM_BYTES, MOST_ADDRESS = 4096, 1000
LEFT, WANTED, AWAY_S = "endcap_left", "endcap_wanted", 600  # what a browser keeps while it is at the provider
Wanted = Annotated[str, Query(alias="next", description="The page that was asked for.")]


@ROUTER.get("/enter", response_model=None)
def enter(
    request: Request, once: Annotated[str, Query(max_length=100)] = "",
    first: Annotated[str, Query(max_length=400, description="The offer whose question the queue is to begin with.")] = "",
) -> Response:  # fmt: skip
    """Begin a session by a link that works once."""
    session = access.redeem(request.app.state.home.engine, once)
    if session is None:
        return _sign_in_page(request, "This link was used already, or is too old. Start `endcap serve` again for a new one.")
    return _with_session(session, request, AFTER + (f"?first={quote(first)}" if first else ""))


@ROUTER.get("/sign-in", response_model=None)
def show(request: Request, wanted: Wanted = "") -> Response:
    """The page to sign in on."""
    return _sign_in_page(request, wanted=wanted)


@ROUTER.post("/sign-in", response_model=None)
async def sign_in(request: Request) -> Response:
    """Begin a session by name and password, as a form sends them."""
    form = parse_qs((await request.body())[:MOST_FORM_BYTES].decode("utf-8", "replace"))
    # Postgres cannot be asked for a NUL.
    name, password, wanted = (form.get(field, [""])[0].replace("\x00", "\ufffd") for field in ("name", "password", "next"))
    session = await to_thread.run_sync(access.sign_in, request.app.state.home.engine, name, password)
    if session is None:
        return _sign_in_page(request, "This name and password do not belong together.", wanted=wanted)
    return _with_session(session, request, _ours(wanted) or AFTER)


@ROUTER.get("/sign-in/provider", response_model=None)
def leave(request: Request, wanted: Wanted = "") -> Response:
    """Send the browser to the OpenID provider."""
    try:
        leaving = _provider(request).leave(_back(request))
    except Problem as error:
        LOG.warning("nobody can be sent to the provider: %s", error.sentence())
        return _sign_in_page(request, "The provider cannot be asked now. Try again, or sign in with a password.", status=503, wanted=wanted)
    answer = RedirectResponse(leaving.address, 303)
    # Not strict: it must come along when the provider sends the browser back.
    for kept, value in ((LEFT, leaving.kept), (WANTED, quote(_ours(wanted), safe=""))):
        answer.set_cookie(kept, value, max_age=AWAY_S, path="/sign-in", httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


@ROUTER.get("/sign-in/return", response_model=None)
def come_back(request: Request) -> Response:
    """Begin a session by what the provider sent the browser back with."""
    try:
        session = _provider(request).come_back(request.app.state.home.engine, request.cookies.get(LEFT, ""), request.query_params, _back(request))
    except Problem as error:
        LOG.warning("not signed in by the provider: %s", error.sentence())
        answer = _sign_in_page(request, "The provider did not vouch for you, or you may not come in here. Begin again.")
    else:
        # A page of ours leads on: after a redirect from another site the browser would not send the session's strict cookie.
        answer = page_of(request, "signed_in.html", after=_ours(unquote(request.cookies.get(WANTED, ""))) or AFTER)
        _set_session(answer, session, request)
    for kept in (LEFT, WANTED):
        answer.delete_cookie(kept, path="/sign-in")
    return answer


@ROUTER.post("/sign-out", response_model=None)
def sign_out(request: Request) -> Response:
    """End the session."""
    secret = request.cookies.get(COOKIE)
    person = access.who(request.app.state.home.engine, secret, "session") if secret else None
    if person is not None:
        access.end(request.app.state.home.engine, person.pass_id, actor=person.name)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def to_sign_in(request: Request) -> Response:
    """Send somebody who asked for a page to sign in, and from there on to that page."""
    query = request.scope["query_string"].decode("latin-1")
    wanted = request.scope.get("raw_path", b"").decode("latin-1") + (f"?{query}" if query else "")
    known = request.method == "GET" and wanted != AFTER and _ours(wanted)
    return RedirectResponse(f"/sign-in?next={quote(wanted, safe='')}" if known else "/sign-in", 303)


def _ours(address: str) -> str:
    """The address where it is a page of ours; else nothing, so that nobody is led to another site by signing in."""
    plain = address.isascii() and address.isprintable() and "\\" not in address and len(address) <= MOST_ADDRESS
    page = address.startswith("/") and not address.startswith(("//", "/sign-in", "/enter", "/api/"))
    return address if plain and page else ""


def _with_session(session: str, request: Request, after: str) -> Response:
    answer = RedirectResponse(after, 303)
    _set_session(answer, session, request)
    return answer


def _set_session(answer: Response, session: str, request: Request) -> None:
    answer.set_cookie(COOKIE, session, max_age=int(access.SESSION_S), httponly=True, samesite="strict", secure=request.url.scheme == "https")


def _sign_in_page(request: Request, wrong: str = "", status: int = 401, wanted: str = "") -> Response:
    provider: Provider | None = request.app.state.provider
    name = urlsplit(provider.settings.issuer).hostname if provider else None
    return page_of(request, "sign_in.html", status=status if wrong else 200, wrong=wrong, provider=name, wanted=_ours(wanted))


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise NotFound("there is no provider to sign in by", "name one under `oidc` in the settings")
    return provider


def _back(request: Request) -> str:
    """The address to come back to; the host is one of those that are answered at all."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}/sign-in/return"
