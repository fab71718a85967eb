"""The README's pictures, made from a real run: `python docs/pictures.py`.

The terminal picture is the demo's own output, recorded; the pages are screenshots of the served catalog by Chromium
(Debian's package `chromium`), which are left as they are where there is no Chromium.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright
from rich.console import Console

from endcap import flow, sandbox, settings
from endcap.cli import show
from endcap.learn.truth import compare_with_truth
from endcap.ops.home import Home

PICTURES = Path(__file__).with_name("pictures")
PORT = 8399


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "demo"
        take_terminal(folder)
        chromium = shutil.which("chromium")
        if chromium is None:
            return
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            wanted = [("/review", "review.png", "light"), (f"/p/{busiest(folder)}", "product.png", "light"), ("/", "overview.png", "light")]
            take_pages(browser, folder, PICTURES, wanted)
            browser.close()


def take_terminal(folder: Path) -> None:
    """Run the demo and record what it prints."""
    started = time.monotonic()
    world = sandbox.make(folder, offers=6000, days=4, seed=7)
    results = flow.run(settings.read(folder))
    home = Home(settings.read(folder))
    out = Console(record=True, file=io.StringIO(), width=118, highlight=False, markup=False, force_terminal=True)
    with home.connect() as con:
        truth = compare_with_truth(con, folder / "truth" / "offers.csv", world.dates[-1])
        report = show.demo_report(home, con, results, truth, seconds=round(time.monotonic() - started, 1))
    show.print_demo(world, report, Path("demo"), out)
    # The reader's own monospace font: a picture in a README must not fetch one from anywhere.
    picture = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", out.export_svg(title="make demo"), flags=re.DOTALL)
    (PICTURES / "demo.svg").write_text(picture, encoding="utf-8")


def take_pages(browser: Browser, folder: Path, into: Path, wanted: Sequence[tuple[str, str, str]], height: int = 900, width: int = 1180) -> list[Path]:
    """Serve the catalog, come in by the printed link, and take (path, file name, light or dark) each; the files are returned in order."""
    command = [str(Path(sys.executable).with_name("endcap")), "serve", "--development", "--dir", str(folder), "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    link = server.stdout.readline().removeprefix("open ").split()[0]
    taken = []
    try:
        context = browser.new_context(viewport={"width": width, "height": height})
        page = context.new_page()
        _come_in(page, link)
        for path, name, scheme in wanted:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.goto(f"http://127.0.0.1:{PORT}{path}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=into / name)
            taken.append(into / name)
        context.close()
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    return taken


def _come_in(page: Page, link: str) -> None:
    """The server prints its link a moment before it answers."""
    for _attempt in range(100):
        try:
            page.goto(link)
            return
        except Error:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at {link}")


def busiest(folder: Path) -> str:
    """The product with most offers."""
    with Home(settings.read(folder)).connect() as con:
        return str(con.execute("SELECT product_id FROM products WHERE state = 'live' ORDER BY offers DESC, product_id LIMIT 1").fetchall()[0][0])


if __name__ == "__main__":
    main()
