"""Pictures of every page, light and dark, to be looked at; that they are taken and are not blank is what a test can say."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from conftest import Demo
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))
import pictures

BOTH = ("light", "dark")
NIGHTLY = [pytest.param(width, BOTH, marks=pytest.mark.nightly) for width in (320, 768, 1280)]


@pytest.mark.parametrize(("width", "schemes"), [(1280, ("dark",)), *NIGHTLY])
def test_every_page_is_taken_light_and_dark_and_none_is_blank(demo: Demo, browser: Browser, tmp_path: Path, width: int, schemes: tuple[str, ...]) -> None:
    """Set SCREENSHOTS to a folder to keep them. Dark alone by day: pages in light are looked at by most other tests."""
    into = Path(os.environ.get("SCREENSHOTS", tmp_path))
    into.mkdir(parents=True, exist_ok=True)
    product = pictures.busiest(demo.folder)
    pages = {"style": "/style",
             "review": "/review", "categories": "/review?kind=category", "product": f"/p/{product}", "products": "/products", "feeds": "/feeds",
             "feed": "/feeds/bazaar-one", "runs": "/runs", "run": "/runs/1", "overview": "/", "deliveries": "/deliveries", "metrics": "/metrics",
             "nothing": "/p/none"}  # fmt: skip
    wanted = [(path, f"{name}_{scheme}_{width}.png", scheme) for name, path in pages.items() for scheme in schemes]
    taken = pictures.take_pages(browser, demo.folder, into, wanted, width=width)
    assert len({file.read_bytes() for file in taken}) == len(wanted), "every page and scheme looks different"
    assert all(file.stat().st_size > 8000 for file in taken), "a blank page is smaller"
