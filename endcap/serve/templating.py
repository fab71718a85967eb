"""Pages from templates: everything escaped, numbers written one way."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"
UNKNOWN = "–"
CODE = re.compile(r"`(\S|\S[^`]*\S)`")


def page_of(request: Request, template: str, *, status: int = 200, **given: Any) -> Response:
    """A page from a template; the snapshot, the path asked for and who asks are known in every one."""
    reading = request.scope.get("state", {}).get("reading")
    person = getattr(request.state, "person", None)
    everywhere = {"snapshot_id": reading.snapshot_id if reading else None, "path": request.url.path, "person": person.name if person else "", "status": status}
    text = _ENVIRONMENT.get_template(template).render(everywhere | given)
    return HTMLResponse(text, status)


def number(value: int | float | None) -> str:
    """1234567 as '1,234,567'."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share from 0 to 1 as '61.3 %'."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def price(value: Decimal | None, currency: str | None = None) -> str:
    """A price with its currency: '1,299.90 EUR'."""
    return UNKNOWN if value is None else f"{value:,.2f} {currency or ''}".strip()


def web_address(text: str | None) -> str | None:
    """The address where it is plain http or https; None for everything a browser might run."""
    try:
        parts = urlsplit((text or "").strip())
    except ValueError:
        return None
    return (text or "").strip() if parts.scheme in ("http", "https") and parts.netloc else None


def in_path(text: str) -> str:
    """An id as one part of an address."""
    return quote(text, safe=":@")


def initials(title: str | None) -> str:
    """The first letters of a title's first two words: what a picture's box shows until the picture is there."""
    words = [word for word in (title or "").split() if word[0].isalnum()]
    return "".join(word[0].upper() for word in words[:2])


def coded(text: str | None) -> Markup:
    """A sentence in which what stands closely between two backticks, as `endcap run` does, is shown as code; everything is escaped."""
    pieces = CODE.split(text or "")
    return Markup().join(Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces))


def moment(text: str | None) -> str:
    """'2024-05-01T10:02:03Z' as '2024-05-01 10:02 UTC'."""
    return UNKNOWN if not text else f"{text[:10]} {text[11:16]} UTC" if len(text) >= 16 else text


_ENVIRONMENT = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters.update({filter_.__name__: filter_ for filter_ in (number, percent, price, web_address, in_path, moment, initials, coded)})
