"""Who may ask what: every route has its least role in one table, and what is not in it is refused to all."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote

from anyio import to_thread
from fastapi import HTTPException, Request
from starlette.routing import Route

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.serve.passes import Passes

COOKIE = "endcap_session"
API = "/api/"
RECONCILE = "/api/v1/reconcile"  # its clients know an address alone: the token may stand in it
SIGNING_IN = (("POST", "/sign-in"), ("GET", "/sign-in/provider"), ("GET", "/sign-in/return"))  # how often is limited by the address it comes from
PERSON_HEADER = "Endcap-Person"  # who did what is sent, where a page kept it for later: nobody's answers go out under another's name
OPEN = ""  # for all, signed in or not

# (method, route) -> least role. A route that is missing here answers nobody, and a test fails.
LEAST_ROLE: dict[tuple[str, str], str] = {
    ("GET", "/sign-in"): OPEN,
    ("POST", "/sign-in"): OPEN,
    ("GET", "/sign-in/provider"): OPEN,
    ("GET", "/sign-in/return"): OPEN,
    ("GET", "/enter"): OPEN,
    ("POST", "/sign-out"): OPEN,
    ("GET", "/api/v1/health"): OPEN,
    **{("GET", page): "viewer" for page in (
        "/", "/products", "/review", "/deliveries", "/quarantine/{delivery_id}", "/metrics", "/p/{product_id}", "/o/{offer_id:path}",
        "/runs", "/runs/{attempt_id}", "/feeds", "/feeds/{feed}", "/pictures/{offer_id:path}", "/style",
    )},
    **{("GET", f"/api/v1/{path}"): "viewer" for path in (
        "overview", "products", "products/{product_id}", "offers/{offer_id:path}", "pairs", "review", "metrics", "snapshots", "deliveries",
        "deliveries/{delivery_id}/quarantine", "me", "runs", "runs/{attempt_id}", "feeds", "feeds/{feed}", "feeds/{feed}/held/{date}",
    )},
    **{("GET", f"/api/v1/{path}"): "viewer" for path in ("products/{product_id}/answers", "products/{product_id}/history", "values")},
    **{("POST", f"/api/v1/products/{{product_id}}/{deed}"): "reviewer" for deed in ("values", "split", "merge", "split/preview", "merge/preview")},
    **{("GET", page): "viewer" for page in ("/decisions", "/decisions/{proposal_id}", "/thresholds", "/models", "/loops", "/loops/{loop_id}")},
    **{("GET", f"/api/v1/{path}"): "viewer" for path in (
        "proposals", "proposals/{proposal_id}", "models", "thresholds", "thresholds/samples", "loops", "loops/{loop_id}", "switches",
    )},
    ("POST", "/api/v1/loops"): "reviewer",
    **{("POST", f"/api/v1/loops/{{loop_id}}/{deed}"): "reviewer" for deed in ("acknowledge", "verify", "reopen")},
    ("POST", "/api/v1/loops/{loop_id}/close"): "lead",
    ("POST", "/api/v1/thresholds/propose"): "reviewer",
    **{("POST", f"/api/v1/proposals/{{proposal_id}}/{deed}"): "lead" for deed in ("accept", "reject", "withdraw", "validate", "promote", "rollback")},
    ("POST", "/api/v1/switches"): "lead",
    ("POST", "/api/v1/overrides/{override_id}/undo"): "reviewer",
    ("POST", "/api/v1/feeds/{feed}/release"): "lead",
    ("POST", "/api/v1/feeds/{feed}/hold"): "lead",
    ("POST", "/api/v1/match"): "viewer",
    ("GET", "/api/v1/search"): "viewer",
    **{("GET", f"{RECONCILE}{path}"): "viewer" for path in ("", "/suggest/entity", "/suggest/property", "/properties", "/preview")},
    ("POST", RECONCILE): "viewer",
    ("GET", "/api/v1/review/next"): "reviewer",
    ("GET", "/api/v1/review/items"): "reviewer",
    ("GET", "/api/v1/review/mine"): "reviewer",
    ("GET", "/api/v1/review/groups"): "reviewer",
    ("GET", "/api/v1/review/stats"): "reviewer",
    ("GET", "/api/v1/review/agreement"): "reviewer",
    ("GET", "/api/v1/review/values"): "reviewer",
    ("POST", "/api/v1/review/values"): "reviewer",
    ("POST", "/api/v1/review/decisions"): "reviewer",
    ("POST", "/api/v1/review/undo"): "reviewer",
    ("POST", "/api/v1/review/release"): "reviewer",
}  # fmt: skip


# Routes that ask themselves what the person may change (see review/reach.py).
SCOPED = ("/api/v1/review/", "/api/v1/products/", "/api/v1/overrides/", "/api/v1/feeds/")
# What whoever reviews a part may do anywhere: a report of a problem changes nothing that holds.
OF_ALL = ("/api/v1/loops",)


class Gate(Protocol):
    """Tells who is asking."""

    def who(self, request: Request) -> Person | None:
        """The person, or None where nothing proves who it is."""
        ...

    def at_once(self, request: Request) -> Person | None:
        """The person where that can be told without waiting; None else, so that `who` is to be asked."""
        ...


class HomeGate:
    """Asks the catalog's operational database: a browser's session cookie, or a program's bearer token."""

    def __init__(self, home: Home) -> None:
        self._passes = Passes(home)

    def who(self, request: Request) -> Person | None:
        """The person of the token or session that came with the request."""
        shown = _shown_pass(request)
        return self._passes.who(*shown) if shown else None

    def at_once(self, request: Request) -> Person | None:
        """The same where it is known without asking the database."""
        shown = _shown_pass(request)
        return self._passes.at_once(*shown) if shown else None


def _shown_pass(request: Request) -> tuple[str, str] | None:
    """(secret, session or token) that came with the request."""
    kind, _space, token = request.headers.get("authorization", "").partition(" ")
    if kind:
        return (token.strip(), "token") if kind.lower() == "bearer" else None
    in_address = _token_in_address(request)
    if in_address:
        return in_address, "token"
    cookie = request.cookies.get(COOKIE)
    return (cookie, "session") if cookie else None


async def admit(request: Request) -> None:
    """Let a request through or raise: 401 where it must say who asks, 403 where that one may not, or where another site sent it."""
    route = request.scope.get("route")
    least = LEAST_ROLE.get((request.method, route.path)) if isinstance(route, Route) else None
    if least is None:
        raise HTTPException(403, "nobody may do this")
    if request.method not in ("GET", "HEAD") and not request.headers.get("authorization") and not _token_in_address(request):
        _check_same_site(request)
    if least == OPEN:
        if (request.method, request.url.path) in SIGNING_IN:
            _take(request, request.client.host if request.client else "unknown", "sign-in")
        return
    gate: Gate = request.app.state.gate
    person = gate.at_once(request) or await to_thread.run_sync(gate.who, request)
    if person is None:
        raise HTTPException(401, "say who you are")
    of = unquote(request.headers.get(PERSON_HEADER, ""))
    if of and of != person.name:  # a page left open, whose session is another person's by now
        raise HTTPException(401, f"this was done by {of}, and {person.name} is signed in")
    _take(request, person.pass_id, "read" if request.method in ("GET", "HEAD") else "write")
    # A route that looks at no scopes touches everything: whoever has a role for a part only does nothing there but look.
    if person.scopes is not None and not _looks_at_scopes(route.path if isinstance(route, Route) else "") and not person.may_everywhere(least):
        raise HTTPException(403, f"this takes the role {least} for everything; {person.name} has it for a part")
    if not person.may(least):
        raise HTTPException(403, f"this takes the role {least}; {person.name} is {person.role}")
    request.state.person = person


def _looks_at_scopes(path: str) -> bool:
    return path.startswith(SCOPED) or path in OF_ALL


def _token_in_address(request: Request) -> str:
    return request.query_params.get("token", "") if request.url.path.startswith(RECONCILE) else ""


def _take(request: Request, actor: str, kind: str) -> None:
    wait_s = request.app.state.limits.wait_s(actor, kind)
    if wait_s:
        raise HTTPException(429, f"too many {kind}s at once", headers={"Retry-After": str(max(1, round(wait_s)))})


def person_of(request: Request) -> Person:
    """Who is asking, as `admit` found."""
    person: Person = request.state.person
    return person


def _check_same_site(request: Request) -> None:
    """A browser says from which page a request comes; one that writes must come from ours (OWASP, fetch metadata)."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        raise HTTPException(403, "another site sent this")
    if site is None and origin is None and COOKIE not in request.cookies and request.url.path.startswith(API):
        return  # a program without a token: nothing that a browser would send by itself, so that it is told what it lacks
    if site is None and origin != f"{request.url.scheme}://{request.headers.get('host', '')}":
        raise HTTPException(403, "this does not say which page it comes from")
