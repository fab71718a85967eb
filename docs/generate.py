"""The reference pages, made from the code: `python docs/generate.py` writes them, `--check` names those that drifted and exits 1.

Every word of them stands in the code (a field's description, a docstring, a comment beside a column); change it there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from reference.api import api_page
from reference.commands import commands_page
from reference.settings import settings_page, settings_schema
from reference.shelves import shelves_page
from reference.tables import tables_page

FOLDER = Path(__file__).resolve().parent
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page, "endcap.schema.json": settings_schema, "commands.md": commands_page,
    "shelves.md": shelves_page, "tables.md": tables_page, "api.md": api_page,
}  # fmt: skip


def drifted(folder: Path = FOLDER) -> list[str]:
    """Names of pages that are missing or say something else than the code."""
    stale = []
    for name, make in PAGES.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != make():
            stale.append(name)
    return stale


def write(folder: Path = FOLDER) -> list[str]:
    """Write every page; out: names of those that changed."""
    stale = drifted(folder)
    for name in stale:
        (folder / name).write_text(PAGES[name](), encoding="utf-8", newline="\n")
    return stale


def main(arguments: list[str] | None = None) -> int:
    """The script. Out: the exit code, 1 when a check found drift."""
    parser = argparse.ArgumentParser(description="Make the reference pages of docs/ from the code.")
    parser.add_argument("--check", action="store_true", help="Write nothing; name the pages that drifted and exit with 1.")
    checking = parser.parse_args(arguments).check
    stale = drifted() if checking else write()
    for name in stale:
        sys.stdout.write(f"docs/{name} {'differs from the code; run: python docs/generate.py' if checking else 'written'}\n")
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main())
