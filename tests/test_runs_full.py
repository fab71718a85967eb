"""Failed runs and quarantine at their full counts: every kind of fault said without a click, a million records paged, hostile bytes inert."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from desk import Desk, at_desk, violations
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, expect
from sqlalchemy.exc import OperationalError

from endcap import flow, settings
from endcap.ops import access
from endcap.ops.home import Home
from endcap.problems import BadInput, Held, in_words
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate

FEED = {"file": "{date}/shop.csv", "format": "csv", "fields": {"id": "id", "title": "title"}}
A_DAY = "2026-01-01"
# (what happens, what the page says caused it, what it says to do)
FAULTS: dict[str, tuple[BaseException, str, str]] = {
    "disk full": (OSError(errno.ENOSPC, "No space left on device", "lake/offers"), "the disk is full (lake/offers)", "free some room"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "share of the disk is used up", "free some room"),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "inbox/a.csv"), "permission is denied (inbox/a.csv)", "give this user the right"),
    "not permitted": (PermissionError(errno.EPERM, "Operation not permitted"), "permission is denied", "give this user the right"),
    "read-only": (OSError(errno.EROFS, "Read-only file system"), "cannot be written to", "mount it for writing"),
    "missing": (FileNotFoundError(errno.ENOENT, "No such file", "inbox/a.csv"), "a file is missing (inbox/a.csv)", "put it back"),
    "files": (OSError(errno.EMFILE, "Too many open files"), "too many files are open", "ulimit -n"),
    "bad disk": (OSError(errno.EIO, "Input/output error"), "the disk cannot be read or written", "look after the disk"),
    "memory": (MemoryError(), "not enough memory", "batch_rows"),
    "memory of the engine": (duckdb.OutOfMemoryException("failed to allocate"), "not enough memory", "batch_rows"),
    "disk of the engine": (duckdb.IOException("IO Error: Could not write: No space left on device"), "the disk is full", "free some room"),
    "timeout": (TimeoutError("the read timed out"), "took too long", "run again"),
    "by hand": (KeyboardInterrupt(), "stopped by hand", "the next run does its work again"),
    "ended": (SystemExit(1), "stopped by hand", "the next run does its work again"),
    "locked": (OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked")), "holds the operational database locked", "end it"),
    "database full": (OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")), "the disk is full", "free some room"),
    "arrow": (pa.ArrowInvalid("column 3 has 5 values, 6 expected"), "column 3 has 5 values, 6 expected", "report it with the log"),
    "bug": (ZeroDivisionError("division by zero"), "division by zero", "report it with the log"),
    "wordless": (AssertionError(), "AssertionError", "report it with the log"),
    "settings": (BadInput("the taxonomy cannot be read", where="taxonomy.csv", todo="correct line 3"), "the taxonomy cannot be read", "correct line 3"),
    "guard": (Held("source ids were reused", where="shop", todo="let it through once with `endcap run --accept source_key`"), "ids were reused", "--accept"),
}  # fmt: skip
SAMPLE = ("disk full", "memory", "bug", "guard")


def shop(folder: Path, lines: list[str], **more: Any) -> Path:
    """A catalog of one small shop; `more` of its feed."""
    (folder / "inbox" / A_DAY).mkdir(parents=True)
    (folder / "inbox" / A_DAY / "shop.csv").write_text("\n".join(["id,title", *lines]) + "\n", encoding="utf-8")
    (folder / "endcap.yaml").write_text(json.dumps({"name": "shop", "inbox": "inbox", "feeds": {"shop": {**FEED, **more}}}), encoding="utf-8")
    return folder


def fail_with(folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_journey: Any) -> Any:
        raise error

    monkeypatch.setattr(flow, "STAGES", (fails,))
    with pytest.raises(type(error)):
        flow.run(settings.read(folder))
    monkeypatch.undo()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return shop(tmp_path / "shop", [f"{number},Wooden train number {number}" for number in range(5)])


def look_at_faults(desk: Desk, names: tuple[str, ...]) -> None:
    """On the list and on each run's own page the cause and the next step are seen without a click, at 360 pixels too."""
    page = desk.person(role="viewer")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{desk.address}/runs")
        told = page.locator("tr.note").all_inner_texts()
        for name in names:
            _error, cause, todo = FAULTS[name]
            assert any(cause in one and todo in one for one in told), (name, told)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    for number, name in enumerate(names, 1):
        _error, cause, todo = FAULTS[name]
        page.goto(f"{desk.address}/runs/{number}")
        shown = page.locator(".notice.conflicts")
        expect(shown).to_contain_text(cause)
        expect(shown).to_contain_text(todo)
        expect(shown).to_be_in_viewport()
    assert violations(page) == []


@pytest.mark.parametrize("names", [SAMPLE, pytest.param(tuple(FAULTS), marks=pytest.mark.nightly)], ids=["sample", "all 21 kinds"])
def test_what_failed_and_what_to_do_is_seen_without_a_click(small: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    for name in names:
        fail_with(small, FAULTS[name][0], monkeypatch)
    for desk in at_desk(small, browser):
        look_at_faults(desk, names)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_kind_of_fault_is_one_sentence_with_a_cause_and_a_next_step(name: str) -> None:
    error, cause, todo = FAULTS[name]
    words = in_words(error)
    assert cause in words and todo in words and words.endswith(".") and "\n" not in words and "sqlalche.me" not in words


@pytest.mark.parametrize(("error", "named"), [
    (BadInput("acme: the delivery cannot be read", where="/srv/shop/inbox/2024-01-02/acme.csv", todo="put a good one in its place"), "(acme.csv)"),
    (PermissionError(errno.EACCES, "Permission denied", "/srv/shop/inbox/2024-01-02/acme.csv"), "(acme.csv)"),
    (duckdb.IOException("IO Error: No files found that match the pattern \"/srv/shop/lake/offers/1.parquet\""), '"1.parquet"'),
    (ValueError("see https://example.org/a/b and inbox/a.csv, not /srv/shop/x"), "https://example.org/a/b and inbox/a.csv, not x"),
], ids=["input", "system", "engine", "addresses stay"])  # fmt: skip
def test_what_is_kept_of_a_failure_names_files_but_no_folder_of_the_machine(error: BaseException, named: str) -> None:
    assert named in in_words(error) and "/srv" not in in_words(error) and "shop" not in in_words(error)


def test_a_delivery_that_cannot_be_read_is_named_on_pages_without_its_folder(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop", ["1,Wooden train"], fields={"id": "number", "title": "title"})
    with pytest.raises(BadInput) as caught:
        flow.run(settings.read(folder))
    assert str(folder) in str(caught.value), "whoever runs it is told where the file lies"
    with TestClient(make_app(home := Home(settings.read(folder)), HomeGate(home)), base_url="http://localhost") as client:
        client.headers["authorization"] = f"Bearer {access.make_token(home.engine, 'vic', 'viewer', days=1, actor='test')}"
        told = [client.get(path).text for path in ("/api/v1/runs", "/runs", "/runs/1", "/", "/feeds", "/feeds/shop")]
    assert all("shop.csv" in one for one in told[:4]) and not any(str(tmp_path) in one for one in told)


PAYLOADS = [
    f"{before}{payload}{after}" for before, after in (("", ""), ('"', ""), ("'>", ""), ("</pre>", ""), ("]]>", ""), ("<!--", "-->"))
    for payload in (
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<a href=javascript:alert(1)>x</a>", "<details open ontoggle=alert(1)>", "{{7*7}}", "<style>*{display:none}</style>", "<base href=//evil.example>",
        "\u202e<b>x</b>\x1b[31m",
    )
]  # fmt: skip


def test_60_hostile_records_in_quarantine_stay_text(browser: Browser, tmp_path: Path) -> None:
    assert len(PAYLOADS) == 60
    broken = ['{},"","{}"'.format(number, payload.replace('"', '""')) for number, payload in enumerate(PAYLOADS)]
    folder = shop(tmp_path / "shop", [f"ok{number},Wooden train number {number}" for number in range(400)] + broken)
    flow.run(settings.read(folder))
    for desk in at_desk(folder, browser):
        page = desk.person(role="viewer")
        shown: list[str] = []
        page.goto(f"{desk.address}/quarantine/shop@{A_DAY}")
        while True:
            assert page.locator("main pre *, main script, main img, main svg.x, main iframe, main style, base").count() == 0
            shown += page.locator("main pre").all_inner_texts()
            if not page.locator("a[rel=next]").count():
                break
            with page.expect_navigation():
                page.locator("a[rel=next]").click()
        assert len(shown) == 60 and sum("alert(1)" in one for one in shown) >= 36
        assert violations(page) == []


MILLION = 1_000_000


@pytest.mark.nightly
def test_a_quarantine_of_a_million_records_is_paged_by_the_server(browser: Browser, tmp_path: Path) -> None:
    """How fast a page comes is measured by bench/review.py; here every page is small, and the last one is the last."""
    folder = shop(tmp_path / "shop", [f"ok{number},Wooden train number {number}" for number in range(400)], guards={"max_quarantined": 1})
    file = folder / "inbox" / A_DAY / "shop.csv"
    with file.open("a", encoding="utf-8") as written:
        written.writelines(f"{number},\n" for number in range(MILLION))
    flow.run(settings.read(folder))
    for desk in at_desk(folder, browser):
        page = desk.person(role="viewer")
        page.goto(f"{desk.address}/quarantine/shop@{A_DAY}")
        expect(page.locator(".lead").first).to_contain_text("1,000,000 records")
        rows = page.locator("main tbody tr").count()
        assert 0 < rows <= 100 and len(page.content()) < 60_000
        page.goto(f"{desk.address}/quarantine/shop@{A_DAY}?page={MILLION // rows}")
        assert page.locator("main tbody tr th").last.inner_text() == f"{MILLION + 400:,}"
    shutil.rmtree(folder)
