"""What pages of other sites may read and frame: the reconciliation service, by a token in the address and never by a cookie.

OpenRefine asks for suggestions from its own page and shows the preview in a frame (W3C Reconciliation Service API 0.2, 2.4: cross-origin access).
"""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from endcap.serve.gate import RECONCILE

PREVIEW = f"{RECONCILE}/preview"
# No credentials are allowed: a browser keeps an answer from the page where it sent a cookie for it.
READ = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
ASKED_FIRST = {**READ, "Access-Control-Allow-Methods": "GET, HEAD, POST", "Access-Control-Allow-Headers": "content-type", "Access-Control-Max-Age": "600"}


def is_asked_first(scope: Scope) -> bool:
    """Whether a browser asks if another site's page may ask (a preflight): it sends no token with that."""
    return scope["method"] == "OPTIONS" and _is_service(scope["path"])


async def allow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The answer to a preflight: nothing but headers."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def headers_for(scope: Scope, usual: dict[str, str]) -> dict[str, str]:
    """The headers of every answer, opened as far as this request's answer may be read or framed elsewhere."""
    if is_asked_first(scope):
        return usual | ASKED_FIRST
    if not _is_service(scope["path"]) or not parse_qs(scope["query_string"].decode("latin-1")).get("token"):
        return usual
    if scope["path"] != PREVIEW:
        return usual | READ
    framed = {name: value.replace("frame-ancestors 'none'", "frame-ancestors *") for name, value in usual.items() if name != "X-Frame-Options"}
    return framed | READ


def _is_service(path: str) -> bool:
    return path == RECONCILE or path.startswith(f"{RECONCILE}/")
