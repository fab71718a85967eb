"""The review page, its neighbours and the API under it, measured in a real browser and by programs, and written to bench/REVIEW.md.

python bench/review.py [--only keys,weight,paint,eight,api,pace] [--offers 100000] [--world DIR]

Each part has a served copy of one demo catalog for itself; `--world` takes a demo made before. Rows of parts not asked for stay.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import random
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Page, Response, Route, async_playwright
from served import Load, Program, Served, closed_loop, commit, machine, make_world, open_loop, quantile, serve_copy

from endcap import settings
from endcap.ops import audit

FILE = Path(__file__).with_name("REVIEW.md")
ITEM, ANSWERS = ".side.asked .title", "**/api/v1/**"
KEYS = "yn0"
DECISIONS, A_SECOND = 210, 3
REVIEWERS, EACH, EIGHT_S, BOUND_S = 8, 600, 150, 180
LOADS, OPEN_A_SECOND, OPEN_S, CLOSED, CLOSED_S = 20, 20, 30, 8, 10
ASKED_AGAIN = 50
# After its start a server reads into memory what is asked often, beside its first answers.
PREPARING_S = 20
THINKING_S, PACE_S = 1.2, 60

# From the key to after the paint of what it brought: the second frame begins when the first has been painted.
TIMED = """(() => {
    window.taken = [];
    addEventListener('keydown', (event) => {
        const before = document.querySelector('.side.asked');
        requestAnimationFrame(() => requestAnimationFrame(() => {
            const after = document.querySelector('.side.asked');
            window.taken.push([performance.now() - event.timeStamp, after !== null && after !== before]);
        }));
    }, true);
})()"""
SEEN = """(() => {
    const look = () => document.querySelector(%r) ? requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = performance.now(); }))
        : requestAnimationFrame(look);
    look();
})()"""


@dataclass(frozen=True)
class Figure:
    """One row of the table. `best` says where the goal lies: at most or at least so much; None where there is no goal."""

    words: str
    value: float
    unit: str
    n: int
    at_most: float | None = None
    at_least: float | None = None

    def cells(self) -> str:
        goal, met = "", ""
        if self.at_most is not None:
            goal, met = f"at most {self.at_most:g} {self.unit}", "yes" if self.value <= self.at_most else "**no**"
        elif self.at_least is not None:
            goal, met = f"at least {self.at_least:g} {self.unit}", "yes" if self.value >= self.at_least else "**no**"
        value = f"{self.value:,.0f}" if self.value == round(self.value) or self.value >= 1000 else f"{self.value:.3g}"
        return f"{self.words} | {value} {self.unit} | {goal.rstrip()} | {met} | {self.n:,}"


# --- in the browser ---------------------------------------------------------------------------------------------------


@dataclass
class People:
    """A browser, and pages in contexts of their own."""

    served: Served
    browser: Any
    asked: list[str] = field(default_factory=list)

    async def page(self, name: str, *scripts: str) -> Page:
        """A page of somebody who has come in by a token, with nothing in its cache; nothing is opened yet."""
        context = await self.browser.new_context(viewport={"width": 1280, "height": 900})
        for script in scripts:
            await context.add_init_script(script)
        await context.set_extra_http_headers({"authorization": f"Bearer {self.served.token(name)}"})
        page: Page = await context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        return page

    async def desk(self, name: str, *scripts: str) -> Page:
        """The review page with an item on it."""
        page = await self.page(name, *scripts)
        await page.goto(f"{self.served.address}/review")
        await page.wait_for_selector(ITEM)
        return page


@asynccontextmanager
async def people(served: Served) -> AsyncIterator[People]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield People(served, browser)
        finally:
            await browser.close()


async def keys(served: Served) -> list[Figure]:
    """Key to next item at three latencies of the server."""
    figures = []
    async with people(served) as those:
        await (await those.desk("first")).context.close()  # the snapshot is opened once, not by whom we measure
        for latency_ms in (0, 200, 1000):
            page = await those.desk(f"person {latency_ms}", TIMED)
            if latency_ms:
                await page.route(ANSWERS, _late(latency_ms))
            begun = time.monotonic()
            for number in range(DECISIONS):
                await asyncio.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))
                await page.keyboard.press(KEYS[number % len(KEYS)])
            await asyncio.sleep(0.5)
            taken = await page.evaluate("window.taken")
            await page.wait_for_function("() => (localStorage.getItem('endcap.outbox ' + document.body.dataset.person) || '[]') === '[]'", timeout=30_000)
            await page.context.close()
            took = [one[0] for one in taken]
            words = f"key to next item, server {latency_ms:,} ms late"
            for share, goal in ((0.5, None), (0.95, 50), (0.99, 100)):
                figures.append(Figure(f"{words}, p{100 * share:.0f}", quantile(took, share), "ms", len(took), at_most=goal))
            figures.append(Figure(f"{words}, stalls", sum(not one[1] for one in taken) + DECISIONS - len(taken), "", DECISIONS, at_most=0))
    return figures


def _late(latency_ms: float) -> Callable[[Route], Coroutine[Any, Any, None]]:
    async def later(route: Route) -> None:
        await asyncio.sleep(latency_ms / 1000)
        try:
            await route.continue_()
        except Exception as error:  # the page may be closed by then
            if "closed" not in str(error):
                raise

    return later


async def weight(served: Served) -> list[Figure]:
    """What pages and their files weigh, compressed as a proxy in front would; and whom they ask."""
    ((product,),) = served.rows("SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, product_id LIMIT 1")
    ((offer,),) = served.rows("SELECT min(offer_id) FROM offers")
    others = ("/products", f"/o/{offer}", "/deliveries", "/metrics", "/feeds", "/runs", "/review?kind=category", "/sign-in")
    sent: dict[str, int] = {}
    raw: dict[str, int] = {}
    pages: dict[str, set[str]] = {}
    async with people(served) as those:
        for path in ("/review", f"/p/{product}", "/", *others):
            told: list[Response] = []
            page = await those.page("weigher")
            page.on("response", lambda answer, told=told: told.append(answer))
            await page.goto(served.address + path, wait_until="networkidle", timeout=60_000)
            for answer in told:
                if answer.status == 200 and "/api/" not in answer.url:
                    body = await answer.body()
                    sent[answer.url], raw[answer.url] = len(gzip.compress(body)), len(body)
                    pages.setdefault(path, set()).add(answer.url)
            await page.context.close()
        foreign = sum(not url.startswith(served.address) for url in those.asked)
    names = {"/review": ("review", 60), f"/p/{product}": ("product of most offers", None), "/": ("overview", None)}
    figures = [
        Figure(f"page {name}, document, style and scripts, gz", sum(sent[url] for url in pages[path]) / 1000, "KB", len(pages[path]), at_most=goal)
        for path, (name, goal) in names.items()
    ]
    static = Path(settings.__file__).parent / "serve" / "static"
    unseen = sum(len(gzip.compress(file.read_bytes())) for file in static.iterdir() if not any(url.endswith(f"/{file.name}") for url in sent))
    figures.append(Figure(f"whole app, {len(pages)} pages and all files, gz", (sum(sent.values()) + unseen) / 1000, "KB", len(sent), at_most=150))
    figures.append(Figure("page review as sent, not compressed", sum(raw[url] for url in pages["/review"]) / 1000, "KB", len(pages["/review"])))
    return [*figures, Figure("requests to third parties", foreign, "", len(those.asked), at_most=0)]


async def paint(served: Served) -> list[Figure]:
    """First paint and first useful paint, nothing in the browser's cache; and the first of all after the server's start."""
    products = [row[0] for row in served.rows("SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, product_id LIMIT 5")]
    products += [row[0] for row in served.rows("SELECT product_id FROM products WHERE state = 'live' ORDER BY hash(product_id) LIMIT 15")]
    looks = {
        "review": (["/review"], ITEM, 1.0),
        "product": ([f"/p/{one}" for one in products], "dl.facts dd", 1.0),
        "overview": (["/"], ".counts dd", 1.5),
    }
    figures = []
    for name, (paths, selector, goal) in looks.items():
        served.stop()
        served.start()
        async with people(served) as those:
            firsts, seens = [], []
            for number in range(LOADS + 1):
                page = await those.page(f"looker {number}", SEEN % selector)
                await page.goto(served.address + paths[number % len(paths)], timeout=60_000)
                await page.wait_for_function("() => window.seen && performance.getEntriesByName('first-contentful-paint').length", timeout=60_000)
                first, seen = await page.evaluate("[performance.getEntriesByName('first-contentful-paint')[0].startTime, window.seen]")
                firsts.append(first / 1000)
                seens.append(max(first, seen) / 1000)
                await page.context.close()
        what = {"review": "first item", "product": "first fact", "overview": "first figure"}[name]
        figures.append(Figure(f"{name}, first contentful paint, p50", quantile(firsts[1:], 0.5), "s", LOADS))
        figures.append(Figure(f"{name}, first contentful paint, p95", quantile(firsts[1:], 0.95), "s", LOADS, at_most=goal))
        figures.append(Figure(f"{name}, {what} painted, p50", quantile(seens[1:], 0.5), "s", LOADS))
        figures.append(Figure(f"{name}, {what} painted, p95", quantile(seens[1:], 0.95), "s", LOADS, at_most=goal))
        figures.append(Figure(f"{name}, {what} painted, the first request after the server's start", seens[0], "s", 1))
    return figures


async def pace(served: Served) -> list[Figure]:
    """A simulated reviewer who thinks 1.2 s before every key, one by one and in batches."""
    figures = []
    async with people(served) as those:
        page = await those.desk("single", TIMED)
        begun, done = time.monotonic(), 0
        while time.monotonic() - begun < PACE_S:
            await asyncio.sleep(THINKING_S)
            await _press(page, KEYS[done % len(KEYS)])
            done += 1
        figures.append(Figure("simulated: decisions a minute, one by one", 60 * done / (time.monotonic() - begun), "", done, at_least=45))
        await page.context.close()
        page = await those.desk("batches", TIMED)
        await page.evaluate("fetch('/api/v1/review/groups').then((answer) => answer.json())")  # found once a snapshot
        begun, batches, singles = time.monotonic(), 0, 0
        while time.monotonic() - begun < PACE_S and await page.locator(ITEM).count():
            await asyncio.sleep(THINKING_S)
            await page.keyboard.press(" ")
            await page.wait_for_function("() => document.querySelector('[data-batch]') || document.querySelector('#left').innerText.startsWith('No other')")
            if await page.locator("[data-batch=different]").count():
                await asyncio.sleep(THINKING_S)
                await page.click("[data-batch=different]")
                await page.wait_for_selector("[data-batch]", state="detached")
                batches += 1
            else:
                await _press(page, "n")
                singles += 1
        spent = time.monotonic() - begun
        await page.wait_for_function("() => (localStorage.getItem('endcap.outbox ' + document.body.dataset.person) || '[]') === '[]'", timeout=60_000)
        await page.context.close()
    ((items,),) = served.rows("SELECT count(*) FROM overrides WHERE actor = 'batches'")
    words = f"simulated: items a minute, {batches} batches and {singles} single decisions"
    return [*figures, Figure(words, 60 * items / spent, "", items, at_least=600)]


async def _press(page: Page, key: str) -> None:
    before = await page.evaluate("window.taken.length")
    await page.keyboard.press(key)
    await page.wait_for_function("(before) => window.taken.length > before", arg=before)


# --- programs ---------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What one reviewer sent and what the server said became of it; times of the requests in milliseconds."""

    states: dict[str, str] = field(default_factory=dict)
    posts: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    undone: int = 0
    refused: int = 0


def eight(served: Served) -> list[Figure]:
    """Eight reviewers at once, each a program that looks, answers, and takes back where nothing is left."""
    tokens = {f"reviewer {number}": served.token(f"reviewer {number}") for number in range(REVIEWERS)}
    first = Program(served, next(iter(tokens.values())))
    first.ask("GET", "/api/v1/review/next?n=1")
    first.close()
    told = {name: Told() for name in tokens}
    begun = time.monotonic()
    threads = [threading.Thread(target=_review, args=(served, name, token, told[name], begun)) for name, token in tokens.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - begun
    said = Counter(state for one in told.values() for state in one.states.values())
    stored = {key for one in told.values() for key, state in one.states.items() if state in ("stored", "repeated")}
    rows = served.rows("SELECT key, offer_id, action, override_id, undoes FROM overrides WHERE actor LIKE 'reviewer %'")
    # What a second reviewer answers blind is kept with the question alone; where it disagrees a lead is asked, by an override that nobody sent.
    blind = served.rows("SELECT key FROM blind_asks WHERE key IS NOT NULL AND asked_of LIKE 'reviewer %'")
    there = Counter(key for key, _offer, action, _id, _undoes in rows if action != "undo" and key is not None)
    there.update(stored.intersection(key for (key,) in blind) - set(there))
    # One that was taken back is in the audit alone, with the override that left its disagreement to a lead, whose undo is part of it.
    opened = served.rows("SELECT object, details_json FROM audit WHERE verb = 'open_again' AND actor LIKE 'reviewer %'")
    there.update(key for key, _details in opened)
    gone = {undoes for *_rest, undoes in rows if undoes is not None}
    marked = len(gone - {json.loads(details)["undoes"] for _key, details in opened}) + len(opened)
    standing = Counter(offer for key, offer, action, number, _undoes in rows if key is not None and action not in ("undo", "skip") and number not in gone)
    unsaid = set(there) - stored
    lost = sum(there[key] != 1 for key in stored)
    doubled = sum(n - 1 for n in there.values() if n > 1) + sum(n - 1 for n in standing.values() if n > 1) + len(unsaid)
    posts, reads = ([one for each in told.values() for one in getattr(each, name)] for name in ("posts", "reads"))
    undone, refused = sum(one.undone for one in told.values()), sum(one.refused for one in told.values())
    words = f"eight reviewers, {len(stored) / spent:.0f} answers a second"
    return [
        Figure(f"{words}: answers acknowledged (human pace for 30 minutes gives 4,800)", len(stored), "", len(there), at_least=REVIEWERS * EACH),
        Figure("eight reviewers: acknowledged and lost", lost, "", len(stored), at_most=0),
        Figure("eight reviewers: stored twice, standing twice or never acknowledged", doubled, "", len(there), at_most=0),
        Figure("eight reviewers: another's answer met", said["conflict"], "", len(there)),
        Figure("eight reviewers: requests refused or failed", refused, "", len(posts) + len(reads), at_most=0),
        Figure("eight reviewers: answers taken back that are not marked so", abs(undone - marked), "", undone, at_most=0),
        Figure("eight reviewers: rows of the audit that do not hold", audit.verify(served.home.engine).broken or 0, "", len(rows), at_most=0),
        Figure("eight reviewers: POST of an answer, p50", quantile(posts, 0.5), "ms", len(posts)),
        Figure("eight reviewers: POST of an answer, p95", quantile(posts, 0.95), "ms", len(posts)),
        Figure("eight reviewers: the next 40 items, p95", quantile(reads, 0.95), "ms", len(reads), at_most=100),
    ]


def _review(served: Served, name: str, token: str, told: Told, begun: float) -> None:
    """Answer what comes, evenly spread; one answer in ten is sent twice, as after a lost connection."""
    program, dice, number = Program(served, token), random.Random(name), 0
    items: list[dict[str, Any]] = []
    while number < EACH and time.monotonic() - begun < BOUND_S:
        if not items:
            started = time.perf_counter()
            status, found = program.ask("GET", f"/api/v1/review/next?{urlencode({'n': 40})}")
            told.reads.append(1000 * (time.perf_counter() - started))
            told.refused += status != 200
            items = found.get("items", [])
        if not items:
            status, found = program.ask("POST", "/api/v1/review/undo", {})
            told.refused += status != 200
            told.undone += found.get("count", 0)
            items = found.get("items", [])
            if not items:
                break
        time.sleep(max(0.0, begun + number * EIGHT_S / EACH - time.monotonic()))
        body = {"decisions": [_answer(items.pop(0), dice)]}
        for _time in range(2 if number % 10 == 0 else 1):
            started = time.perf_counter()
            status, found = program.ask("POST", "/api/v1/review/decisions", body)
            told.posts.append(1000 * (time.perf_counter() - started))
            told.refused += status != 200
            if status == 200:
                told.states[body["decisions"][0]["key"]] = found["outcomes"][0]["state"]
        number += 1
    program.close()


def _answer(item: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    choice = item["choices"][0] if item["choices"] else {}
    shown = {name: item[name] for name in ("offer_id", "identity", "evidence", "model")}
    return shown | {
        "key": uuid.uuid4().hex, "action": dice.choice(("same", "different", "new")) if choice else "new", "product_id": choice.get("product_id"),
        "counterpart_offer_id": (choice.get("nearest") or {}).get("offer_id"),
    }  # fmt: skip


def api(served: Served) -> list[Figure]:
    """Looking up products and matching offers that nobody delivered, at a steady rate and at saturation; CPU is counted in the server's process."""
    programs = [Program(served, served.token(f"program {number}")) for number in range(2 * CLOSED)]
    dice = random.Random(7)
    ids = [row[0] for row in served.rows("SELECT product_id FROM products WHERE state = 'live' ORDER BY 1")]
    dice.shuffle(ids)
    fields = ("title", "brand", "gtin", "mpn", "price", "currency")
    offers = [dict(zip(fields, row, strict=True)) for row in served.rows(f"SELECT {', '.join(fields)} FROM offers ORDER BY hash(offer_id) LIMIT 2000")]
    bodies = [{name: float(value) if name == "price" else value for name, value in offer.items() if value is not None} for offer in offers]

    def look_up(program: Program, number: int) -> int:
        return program.ask("GET", f"/api/v1/products/{ids[number % len(ids)]}")[0]

    def match(program: Program, number: int) -> int:
        return program.ask("POST", "/api/v1/match", bodies[number % len(bodies)])[0]

    figures = []
    for words, ask, goal, cpu_goal in (("GET /api/v1/products/{id}", look_up, 20, 4), ("POST /api/v1/match", match, 60, 12)):
        served.stop()
        served.start()
        started = time.perf_counter()
        ask(programs[0], 0)
        figures.append(Figure(f"{words}, the first after the server's start", time.perf_counter() - started, "s", 1))
        time.sleep(PREPARING_S)
        for number in range(20):
            ask(programs[0], 7 * number)
        cpu_s = served.cpu_s()
        steady = open_loop(programs, ask, OPEN_A_SECOND, OPEN_S)
        cpu_ms = 1000 * (served.cpu_s() - cpu_s) / len(steady.took_ms)
        full = closed_loop(programs[:CLOSED], ask, CLOSED_S)
        figures.append(Figure(f"{words}, CPU ms a request of the server", cpu_ms, "ms", len(steady.took_ms), at_most=cpu_goal))
        figures += _steady(words, steady, goal)
        figures.append(Figure(f"{words}, {CLOSED} connections without a pause, answered a second", full.a_second, "", len(full.took_ms)))
        figures.append(Figure(f"{words}, {CLOSED} connections without a pause, p50", quantile(full.took_ms, 0.5), "ms", len(full.took_ms)))
        figures.append(Figure(f"{words}, refused or failed", steady.failed + full.failed, "", len(steady.took_ms) + len(full.took_ms), at_most=0))
    figures.append(_next_items(served, programs[0]))
    for program in programs:
        program.close()
    return figures


def _next_items(served: Served, program: Program) -> Figure:
    """What the next 40 items cost, asked by one reviewer who answers none of them."""
    address = f"/api/v1/review/next?{urlencode({'n': 40})}"
    for _time in range(3):
        program.ask("GET", address)
    cpu_s = served.cpu_s()
    for _time in range(ASKED_AGAIN):
        program.ask("GET", address)
    return Figure(
        "GET /api/v1/review/next, 40 items, CPU ms a request of the server", 1000 * (served.cpu_s() - cpu_s) / ASKED_AGAIN, "ms", ASKED_AGAIN, at_most=25
    )


def _steady(words: str, load: Load, goal: float) -> list[Figure]:
    at = f"{words}, {OPEN_A_SECOND} a second"
    return [
        Figure(f"{at}, p{100 * share:.0f}", quantile(load.took_ms, share), "ms", len(load.took_ms), at_most=most)
        for share, most in ((0.5, None), (0.95, None), (0.99, goal))
    ]


# --- the table --------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Served], Any]] = {"keys": keys, "weight": weight, "paint": paint, "eight": eight, "api": api, "pace": pace}
HEAD = """# Review

Measured by `python bench/review.py` on {machine}; the machine is shared by others, and server, browser and asking programs
run on it together, so that figures of a busy hour are worse. Key to next item is timed in the page from the key's event to after the
paint (two frames, so that 17 to 33 ms of it are the screen's own). Programs that ask are processes of their own; a request at a
steady rate is timed from when it was due.

| part | figure | measured | goal | met | n | offers | commit, load of the machine before |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

LIMITS = """
Where a goal is missed on two cores: what one request costs the server in CPU is in the api part, counted in its process; a busy machine
makes a CPU second slower too, but less than the clock. One match is half search (mostly the lists of its twenty neighbours), a tenth the
trees' contributions, the rest words; one product is mostly the framework. A load of 2 or more shows in p95 and p99 at once.
"""


def main() -> None:
    """Run the asked parts and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--offers", type=int, default=100_000)
    parser.add_argument("--world", type=Path, help="the folder of a demo made before, instead of a new one")
    given = parser.parse_args()
    asked = [name for name in PARTS if not given.only or name in given.only.split(",")]
    known = _known()
    with tempfile.TemporaryDirectory() as folder:
        world = given.world or Path(folder) / "world"
        if not given.world:
            make_world(world, given.offers)
        for name in asked:
            load = os.getloadavg()[0]  # what others did to the machine before
            with serve_copy(world, Path(folder) / name) as served:
                ((offers,),) = served.rows("SELECT count(*) FROM offers")
                found = PARTS[name](served)
                figures = asyncio.run(found) if asyncio.iscoroutine(found) else found
            known[name] = [f"| {name} | {figure.cells()} | {offers:,} | {commit()}, load {load:.1f} |" for figure in figures]
            print("\n".join(known[name]), flush=True)
            rows = [row for part in PARTS for row in known.get(part, [])]
            FILE.write_text(HEAD.format(machine=machine()) + "\n".join(rows) + _commands(), encoding="utf-8")


def _known() -> dict[str, list[str]]:
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        found = re.match(r"\| (\w+) \|", line)
        if found and found.group(1) in PARTS:
            rows.setdefault(found.group(1), []).append(line)
    return rows


def _commands() -> str:
    lines = "\n".join(f"- {name}: `python bench/review.py --only {name}`. {(part.__doc__ or '').strip()}" for name, part in PARTS.items())
    return f"\n\nA part alone, with a world of its own size (`--offers`):\n\n{lines}\n{LIMITS}"


if __name__ == "__main__":
    main()
