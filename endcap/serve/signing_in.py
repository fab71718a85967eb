"""Coming in and going out: the link that was printed, a name with its password, and the end of a session."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, quote

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from endcap.ops import access
from endcap.serve.gate import COOKIE
from endcap.serve.templating import page_of

ROUTER = APIRouter(include_in_schema=False)
AFTER = "/review"
MOST_FORM_BYTES = 4096


@ROUTER.get("/enter", response_model=None)
def enter(
    request: Request, once: Annotated[str, Query(max_length=100)] = "",
    first: Annotated[str, Query(max_length=400, description="The offer whose question the queue is to begin with.")] = "",
) -> Response:  # fmt: skip
    """Begin a session by a link that works once."""
    session = access.redeem(request.app.state.home.engine, once)
    if session is None:
        return page_of(request, "sign_in.html", status=401, wrong="This link was used already, or is too old. Start `endcap serve` again for a new one.")
    return _with_session(session, request, f"?first={quote(first)}" if first else "")


@ROUTER.get("/sign-in", response_model=None)
def show(request: Request) -> Response:
    """The page to sign in on."""
    return page_of(request, "sign_in.html", wrong="")


@ROUTER.post("/sign-in", response_model=None)
async def sign_in(request: Request) -> Response:
    """Begin a session by name and password, as a form sends them."""
    form = parse_qs((await request.body())[:MOST_FORM_BYTES].decode("utf-8", "replace"))
    name, password = (form.get(field, [""])[0].replace("\x00", "\ufffd") for field in ("name", "password"))  # Postgres cannot be asked for a NUL
    session = await to_thread.run_sync(access.sign_in, request.app.state.home.engine, name, password)
    if session is None:
        return page_of(request, "sign_in.html", status=401, wrong="This name and password do not belong together.")
    return _with_session(session, request)


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


def _with_session(session: str, request: Request, begin: str = "") -> Response:
    answer = RedirectResponse(AFTER + begin, 303)
    answer.set_cookie(COOKIE, session, max_age=int(access.SESSION_S), httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return answer
