"""What the web says when something goes wrong: one shape for programs, one page for people, and the headers of every answer."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from anyio import move_on_after, to_thread
from fastapi import HTTPException as FastAPIHTTPException
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from endcap.problems import BadInput, Held, Problem
from endcap.serve import other_sites
from endcap.serve.answers import ProblemAnswer
from endcap.serve.asking import Conflict, NotFound
from endcap.serve.gate import LEAST_ROLE, admit
from endcap.serve.limits import MOST_BODY_BYTES, MOST_WAIT_S
from endcap.serve.over_the_api import over_the_api
from endcap.serve.reading import Readings
from endcap.serve.signing_in import to_sign_in
from endcap.serve.templating import page_of

LOG = logging.getLogger("endcap.serve")
STATIC, API = "/static/", "/api/"
SNAPSHOT_HEADER = "X-Endcap-Snapshot"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
CODES = {
    400: "bad_request", 401: "not_signed_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 408: "too_slow", 409: "conflict", 410: "gone",
    412: "changed", 413: "too_large", 422: "invalid", 428: "version_needed", 429: "too_many", 500: "failed",
}  # fmt: skip
HINTS = {
    400: "send JSON in UTF-8", 401: "open the link that `endcap serve` printed, sign in at /sign-in, or send a token", 403: "ask somebody whose role allows it",
    404: "the routes are listed at /openapi.json", 405: "the routes are listed at /openapi.json",
    408: "send it again, at once", 409: "another person's word stands",
    412: "read the product again and decide anew", 428: "/api/v1/products/{product_id}/answers tells the version", 413: "send less at once",
    429: "wait as long as Retry-After says",
}  # fmt: skip
NO_PAGE = "look for it from the overview, or search for a product"
_RAW_SNAPSHOT = SNAPSHOT_HEADER.lower().encode()
_HEADER_NAMES = {name.lower().encode() for name in HEADERS} | {_RAW_SNAPSHOT}
_PATTERNS = {route: compile_path(route[1])[0] for route in LEAST_ROLE}


class EveryAnswer:
    """Pins one snapshot to each request, refuses foreign host names, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, readings: Readings, hosts: tuple[str, ...]) -> None:
        self.app, self.readings, self.hosts = app, readings, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        snapshot = "none"

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = [pair for pair in message["headers"] if pair[0].lower() not in _HEADER_NAMES]
                answered = scope.get("state", {}).get("as_of") or snapshot
                message["headers"] = [*own, *_raw(other_sites.headers_for(scope, HEADERS)), (_RAW_SNAPSHOT, answered.encode("latin-1"))]
            await send(message)

        if scope["method"] == "HEAD" and not scope["path"].startswith(STATIC):  # static files see to it themselves
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        if scope["path"].startswith(API) and scope["method"] == "GET":
            send = _with_etag(scope, send)
        request = Request(scope)
        try:
            if _host(request) not in self.hosts:
                answer = shown(request, 400, CODES[400], "this server answers under its own name only", f"use http://{self.hosts[0]}")
                await answer(scope, receive, send_with_headers)
                return
            length = request.headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > MOST_BODY_BYTES or "content-encoding" in request.headers:
                answer = shown(request, 413, CODES[413], f"more than {MOST_BODY_BYTES:,} bytes, or compressed, is not taken", HINTS[413])
                await answer(scope, receive, send_with_headers)
                return
            receive = _counted(receive, scope["app"].state.limits.body_s)
            if not scope["path"].startswith(STATIC):  # the look must not depend on the catalog
                known = self.readings.at_once()
                reading = await to_thread.run_sync(self.readings.current) if known is None else known
                snapshot = reading.snapshot_id or "none"
                scope.setdefault("state", {})["reading"] = reading
            await self._in_turn(scope, receive, send_with_headers)
        except Exception as error:
            LOG.exception("request failed: %s", request.scope["path"])
            if started:
                raise
            message = error.shown() if isinstance(error, Problem) else "the server could not answer this"
            answer = shown(request, 500, CODES[500], message, "the server's log says why; the catalog itself is unchanged")
            await answer(scope, receive, send_with_headers)

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer when few enough requests of the same asker are under way, or say that too many wait."""
        if scope["path"].startswith(STATIC):
            await self.app(scope, receive, send)
            return
        if other_sites.is_asked_first(scope):
            await other_sites.allow(scope, receive, send)
            return
        request = Request(scope)
        host = request.client.host if request.client else "unknown"
        turns = scope["app"].state.limits.turns(request.headers.get("authorization") or request.headers.get("cookie") or host)
        with move_on_after(MOST_WAIT_S) as waited:
            await turns.acquire()
        if waited.cancelled_caught:
            answer = shown(request, 429, CODES[429], "too many requests wait at once", HINTS[429])
            answer.headers["Retry-After"] = "1"
            await answer(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            turns.release()


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _counted(receive: Receive, body_s: float) -> Receive:
    """What is received, as long as it is not too much and comes in time; a body without a length is counted as it comes."""
    had, whole, until = 0, False, time.monotonic() + body_s

    async def receive_counted() -> Message:
        nonlocal had, whole
        with move_on_after(None if whole else max(0.0, until - time.monotonic())) as waited:
            message = await receive()
        if waited.cancelled_caught:
            raise FastAPIHTTPException(408, f"the body did not come within {body_s:g} seconds", headers={"Connection": "close"})
        whole = not message.get("more_body", False)
        had += len(message.get("body", b""))
        if had > MOST_BODY_BYTES:
            raise FastAPIHTTPException(413, f"more than {MOST_BODY_BYTES:,} bytes are not taken at once")
        return message

    return receive_counted


def _with_etag(scope: Scope, send: Send) -> Send:
    """Answers of the API carry the hash of their body, behind the version of what can be changed; who has that is told so without it (RFC 9110, 13.1.2)."""
    known = Request(scope).headers.get("if-none-match", "")
    begun: Message | None = None
    parts: list[bytes] = []

    async def send_tagged(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.start" and message["status"] == 200:
            begun = message
            return
        if begun is None or message["type"] != "http.response.body":
            await send(message)
            return
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = b"".join(parts)
        headers = MutableHeaders(raw=begun["headers"])
        version = scope.get("state", {}).get("version", "")
        tag = f'"{version}{"." if version else ""}{hashlib.sha256(body).hexdigest()[:32]}"'
        headers["ETag"] = tag
        if tag in [one.strip().removeprefix("W/") for one in known.split(",")]:
            del headers["content-length"]
            await send({**begun, "status": 304, "headers": headers.raw})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({**begun, "headers": headers.raw})
        await send({"type": "http.response.body", "body": body})

    return send_tagged


def _without_body(send: Send) -> Send:
    """What a GET answers, but for its body: the headers, its length among them, stay."""

    async def send_headers(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_headers


def shown(request: Request, status: int, code: str, message: str, hint: str) -> Response:
    """A problem as JSON, or as a page where a person's browser asks for one."""
    if _for_people(request):
        return page_of(request, "problem.html", status=status, code=code, message=message, hint=hint)
    told = {"code": code, "message": over_the_api(message), "hint": hint}
    return JSONResponse(ProblemAnswer.model_validate({"error": told}).model_dump(), status)


def _for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


async def on_bad_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadInput)
    return shown(request, 422, CODES[422], error.shown(), "correct it and send it again; nothing was stored")


async def on_held(request: Request, error: Exception) -> Response:
    assert isinstance(error, Held)
    return shown(request, 409, CODES[409], error.shown(), "what you said is kept; nothing is in force by it yet")


async def on_not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotFound)
    return shown(request, 404, CODES[404], error.what, error.hint)


async def on_conflict(request: Request, error: Exception) -> Response:
    assert isinstance(error, Conflict)
    return shown(request, 409, CODES[409], error.what, error.hint)


async def on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        error = await _refused_at_the_gate(request) or error
    if error.status_code == 401 and _for_people(request):
        return to_sign_in(request)
    hint = NO_PAGE if error.status_code == 404 and _for_people(request) else HINTS.get(error.status_code, "")
    message = f"there is nothing at {request.scope['path']}" if error.status_code == 404 else str(error.detail)
    answer = shown(request, error.status_code, CODES.get(error.status_code, "failed"), message, hint)
    answer.headers.update(error.headers or {})
    if error.status_code == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 11.6.1: how to say who one is
    if error.status_code == 405:
        answer.headers["Allow"] = _methods_at(request.scope["path"]) or "GET, HEAD"
    return answer


def _methods_at(path: str) -> str:
    """Every method that is answered at a path; the router itself names those of the first route alone (RFC 9110, 10.2.1)."""
    found = {method for (method, _route), pattern in _PATTERNS.items() if pattern.match(path)}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


async def on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = error.errors()
    refused = await _refused_at_the_gate(request) if any(one["type"] == "json_invalid" for one in mistakes) else None
    if refused is not None:
        return await on_http(request, refused)
    hint = (
        "correct what was sent and send it again; nothing was stored"
        if any(one["loc"][0] == "body" for one in mistakes)
        else "correct the address and ask again"
    )
    return shown(request, 422, CODES[422], "; ".join(_mistake(one) for one in mistakes), hint)


async def _refused_at_the_gate(request: Request) -> HTTPException | None:
    """What the gate says of a request whose body could not be read at all: that is found out before the gate is asked."""
    if hasattr(request.state, "person"):
        return None
    try:
        await admit(request)
    except HTTPException as refused:
        return refused
    return None


def _mistake(detail: Any) -> str:
    if detail["type"] == "json_invalid":
        return f"the body is no JSON: {detail.get('ctx', {}).get('error', 'it cannot be read')} at character {detail['loc'][-1]}"
    if detail["loc"] == ("body",):
        return "the body must be a JSON object, sent as application/json"
    return f"{'.'.join(str(step) for step in detail['loc'][1:])}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host
