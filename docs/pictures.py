"""The README's pictures, made from a real run: `python docs/pictures.py`.

The terminal picture is the demo's own output, recorded; the page is a screenshot of the served overview by Chromium
(Debian's package `chromium`), which is left as it is where there is no Chromium.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from endcap import flow, sandbox, settings
from endcap.cli import show
from endcap.learn.truth import compare_with_truth
from endcap.ops.home import Home

PICTURES = Path(__file__).with_name("pictures")
PORT = 8399
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "demo"
        take_terminal(folder)
        if shutil.which("chromium"):
            take_page(folder, "/", "overview.png", "1180,1060")


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


def take_page(folder: Path, path: str, name: str, size: str) -> None:
    """Serve the catalog for as long as the picture takes."""
    command = [str(Path(sys.executable).with_name("endcap")), "serve", "--dir", str(folder), "--port", str(PORT), "--seconds", "30"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        time.sleep(5)
        with tempfile.TemporaryDirectory() as profile:
            shot = ["chromium", *QUIET, f"--user-data-dir={profile}", f"--screenshot={PICTURES / name}", f"--window-size={size}"]
            subprocess.run([*shot, f"http://127.0.0.1:{PORT}{path}"], check=True, capture_output=True)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
