"""A served catalog and people before it in a real browser; conftest makes the fixtures known to every test."""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import select

from endcap import settings
from endcap.cli import main
from endcap.ops import access
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES

# The servers of desks are forked from a process that has read what takes a server seconds to read; where it is not found they read it themselves.
NURSERY = get_context("forkserver")
NURSERY.set_forkserver_preload(["tests.nursery"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: install Debian's package chromium (make setup does, run by root)")
        pytest.skip("no Chromium here (Debian's package chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@dataclass
class Desk:
    """A served catalog, and people at its desk."""

    folder: Path
    browser: Browser
    port: int
    server: ForkServerProcess | None = None
    said: Connection | None = None
    contexts: list[BrowserContext] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(settings.read(self.folder))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        said, says = Pipe(duplex=False)
        self.server = NURSERY.Process(target=serve, args=(says, self.folder, self.port), daemon=True)
        self.server.start()
        says.close()
        with os.fdopen(os.dup(said.fileno()), encoding="utf-8") as lines:
            line = lines.readline()
        self.said = said
        assert line.startswith("open http://127.0.0.1:"), line
        for _attempt in range(500):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)

    def kill(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.join()
        if self.said:
            self.said.close()

    def person(self, name: str = "rita", role: str = "reviewer", **given: Any) -> Page:
        """A browser of its own, come in by a link."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **given})
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog {dialog.message}"))
        page.goto(f"{self.address}/enter?once={access.make_link(self.home.engine, name, role)}")
        return page

    def renew(self, page: Page, path: str = "") -> None:
        """Load a page until it shows the newest snapshot: while one request opens it, others are served the one before."""
        newest = (self.home.snapshot() or {})["snapshot_id"]
        for _attempt in range(100):
            page.goto(self.address + path) if path else page.reload()
            if newest in page.content():
                return
            time.sleep(0.1)
        raise AssertionError(f"{page.url} never showed {newest}")

    def stored(self) -> list[dict[str, Any]]:
        with self.home.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(OVERRIDES).order_by(OVERRIDES.c.override_id)).mappings()]


def serve(says: Connection, folder: Path, port: int) -> None:
    """`endcap serve`, to which this process is given over."""
    for stream in (1, 2):
        os.dup2(says.fileno(), stream)
    sys.argv = ["endcap", "serve", "--development", "--dir", str(folder), "--port", str(port)]
    main()


def free_port() -> int:
    """A free port below those that the system gives to clients: one of these could take it while a server is started again."""
    for _attempt in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as free:
            if free.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def at_desk(folder: Path, browser: Browser) -> Iterator[Desk]:
    """A desk at this catalog; what its pages complained of fails the test."""
    made = Desk(folder, browser, free_port())
    made.start()
    yield made
    for context in made.contexts:
        context.close()
    made.kill()
    assert made.errors == []


@pytest.fixture
def desk(copy_of_demo: Path, browser: Browser) -> Iterator[Desk]:
    yield from at_desk(copy_of_demo, browser)


@pytest.fixture(scope="module")
def lookout(demo: Any, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at a copy of the demo that a module's tests share: they look, and store nothing."""
    yield from at_desk(Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("lookout") / "world")), browser)


TAGS = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def violations(page: Page) -> list[str]:
    """What axe finds wrong on the page as it stands."""
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in Axe().run(page, options=TAGS).response["violations"]]
