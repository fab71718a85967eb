"""Options that several verbs share, and how results are printed."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from endcap.settings import Catalog

Dir = Annotated[Path, typer.Option("--dir", help="The catalog's folder, or its settings file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]
By = Annotated[str, typer.Option("--by", help="Who says so; your user name when left out.")]
HERE = Path()
MOST_NUMBER = 2**63 - 1
DEMO = Path("endcap-demo")  # where `endcap demo` puts its world


def read_catalog(folder: Path, *, home: Path | None = None, inbox: Path | None = None) -> Catalog:
    """The settings of a catalog, with the folders given on the command line in place of its own.

    Where no folder is named and this one has no settings, the demo's beside it is meant, which is said.
    """
    from endcap import settings

    if folder == HERE and not (HERE / settings.FILE_NAME).exists() and (DEMO / settings.FILE_NAME).exists():
        say(f"there is no {settings.FILE_NAME} here, so the demo in {DEMO} is meant")
        folder = DEMO
    given = {"home": home, "inbox": inbox}
    overrides = {name: str(path.absolute()) for name, path in given.items() if path is not None}
    return settings.read(folder, overrides=overrides)


def known_number(what: str, todo: str) -> Callable[[int | None], int | None]:
    """What looks at a number as it is typed: above what a database can hold there is nothing of that number, which is said like of any other."""

    def looked_at(number: int | None) -> int | None:
        if number is not None and number > MOST_NUMBER:
            from endcap.problems import BadInput

            raise BadInput(f"there is no {what} {number}", where=what, todo=todo)
        return number

    return looked_at


def actor(by: str) -> str:
    """Who gives the command, by `--by` or by the name of the machine's user. Raises BadInput under a name of endcap's own."""
    from endcap.ops.names import check_person

    name = by.strip() or getpass.getuser()
    check_person(name)
    return name


def print_json(result: Any) -> None:
    """One JSON object on stdout."""
    typer.echo(json.dumps(result, ensure_ascii=False, default=str))


def say(line: str) -> None:
    """Progress, on stderr."""
    typer.echo(line, err=True)
