"""The first minutes of somebody who has read nothing: the demo, the printed link, a true match on screen, and ten decisions."""

from __future__ import annotations

import csv
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Demo
from desk import violations
from playwright.sync_api import Browser, Page, expect

from endcap import settings
from endcap.ops.home import Home


@pytest.fixture
def printed(copy_of_demo: Path) -> Iterator[str]:
    """What `endcap serve` prints for a person to open."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("endcap")), "serve", "--dir", str(copy_of_demo), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().removeprefix("open ").strip()
    server.kill()
    server.wait()
    server.stdout.close()


def truth_of(demo: Demo) -> dict[str, str]:
    with (demo.folder / "truth" / "offers.csv").open(encoding="utf-8", newline="") as file:
        return {row["offer_id"]: row["product"] for row in sorted(csv.DictReader(file), key=lambda row: row["date_from"])}


def decide_by_what_is_read(page: Page) -> str:
    """Press the key that a button names, chosen from the words on the screen alone."""
    asked = page.locator(".side.asked")
    expect(asked).to_be_in_viewport()
    differs = page.locator("tr.conflicts").count() or page.locator(".side mark.only").count() > 2
    button = page.locator("#item .verbs button", has_text="Different" if differs else "Same").first
    if not button.count():
        button = page.locator("#item .verbs button", has_text="New product")
    expect(button).to_be_in_viewport()
    page.keyboard.press(button.locator("kbd").inner_text())
    return button.inner_text()


def test_the_printed_link_opens_a_true_match_and_ten_decisions_need_only_the_screen(demo: Demo, printed: str, browser: Browser, copy_of_demo: Path) -> None:
    errors: list[str] = []
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    for _attempt in range(100):
        try:
            page.goto(printed)
            break
        except Exception:  # the server prints its link a moment before it answers
            page.wait_for_timeout(100)
    page.wait_for_selector(".side.asked .title")
    truth, home = truth_of(demo), Home(settings.read(copy_of_demo))
    shown = page.evaluate("fetch('/api/v1/review/next?n=1' + location.search.replace('?', '&')).then((answer) => answer.json()).then((told) => told.items[0])")
    assert page.locator(".side.asked .title").inner_text() == " ".join(shown["offer"]["title"].split())
    assert truth[shown["offer_id"]] == truth[shown["choices"][0]["nearest"]["offer_id"]], "the first question is a true match"
    expect(page.locator("#left")).to_contain_text("wait")
    expect(page.locator(".keys").first).to_contain_text("all keys")
    assert violations(page) == []
    for number in range(10):
        before = page.locator(".side.asked .title").inner_text()
        decide_by_what_is_read(page)
        page.wait_for_function("(before) => document.querySelector('.side.asked .title')?.innerText !== before", arg=before)
        expect(page.locator("#last li")).to_have_count(number + 1)
    page.wait_for_function("() => localStorage.getItem('endcap.outbox ' + document.body.dataset.person) === '[]'")
    with home.connect() as con:
        assert con.execute("SELECT count(*) FROM overrides").fetchall() == [(10,)]
    page.locator("#last button").first.click()
    expect(page.locator("#left")).to_contain_text("Taken back")
    page.context.close()
    assert errors == []
