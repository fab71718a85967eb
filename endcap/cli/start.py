"""Verbs to begin with: demo, sandbox, init, feed add."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.cli.options import DEMO, HERE, Dir, Json, print_json, read_catalog, say
from endcap.problems import BadInput

MARK = ".endcap-demo"
FIRST = "begins with: "


def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where the demo world and its catalog go.")] = DEMO,
    offers: Annotated[int, typer.Option(help="Offers on the first day, over all suppliers.", min=300)] = 6000,
    days: Annotated[int, typer.Option(help="Delivery days.", min=1, max=365)] = 4,
    seed: Annotated[int, typer.Option(help="The world's seed: the same seed makes the same world.")] = 7,
    as_json: Json = False,
) -> None:
    """Make a world of suppliers and run it into a catalog.

    Offline, in about a minute; the same seed gives the same catalog. Made again in the same folder it begins anew, unless people have answered there.
    """
    from endcap import flow, sandbox
    from endcap.cli import show
    from endcap.learn.truth import compare_with_truth, first_true_match
    from endcap.ops.home import Home

    started = time.monotonic()
    _clear_demo(folder)
    say(f"making a world of suppliers in {folder} (seed {seed})")
    world = sandbox.make(folder, offers=offers, days=days, seed=seed)
    mark = "made by `endcap demo`; it may be made again\n"
    (folder / MARK).write_text(mark, encoding="utf-8")
    catalog = read_catalog(folder)
    results = flow.run(catalog, say=say)
    home = Home(catalog)
    with home.connect() as con:
        truth = compare_with_truth(con, folder / "truth" / "offers.csv", world.dates[-1])
        report = show.demo_report(home, con, results, truth, seconds=round(time.monotonic() - started, 1))
        first = first_true_match(con, folder / "truth" / "offers.csv", world.dates[-1])
    (folder / MARK).write_text(f"{mark}{FIRST}{first}\n" if first else mark, encoding="utf-8")
    if as_json:
        print_json(report)
    else:
        show.print_demo(world, report, folder)


def first_question(folder: Path) -> str:
    """The offer whose question a demo begins with; empty for a catalog that is no demo."""
    try:
        lines = (folder / MARK).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(FIRST) for line in lines if line.startswith(FIRST)), "")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInput("that is a file, not a folder", where=str(folder), todo="name a folder")


def _clear_demo(folder: Path) -> None:
    _check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise BadInput("that folder is not empty and was not made by `endcap demo`", where=str(folder), todo="name another with --dir")
        kept = _said_by_people(folder)
        if kept:
            raise BadInput(f"this demo holds {kept} answers and proposals of people", where=str(folder), todo="name another with --dir, or remove the folder")
        shutil.rmtree(folder)


def _said_by_people(folder: Path) -> int:
    """How many answers and proposals a demo holds; a demo that was cut short before it had a database holds none."""
    file = folder / "catalog" / "ops.sqlite"
    if not file.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as con:
            return int(con.execute("SELECT (SELECT count(*) FROM overrides) + (SELECT count(*) FROM proposals WHERE NOT automatic)").fetchone()[0])
    except sqlite3.Error as problem:
        if "no such table" in str(problem):
            return 0
        raise BadInput(f"nobody can tell whether people answered in this demo: {problem}", where=str(file), todo="name another with --dir") from None


def make_sandbox(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    offers: Annotated[int, typer.Option(help="Offers on the first day, over all suppliers.", min=300)] = 6000,
    days: Annotated[int, typer.Option(help="Delivery days.", min=1, max=365)] = 4,
    seed: Annotated[int, typer.Option(help="The world's seed.")] = 7,
    change_share: Annotated[float | None, typer.Option(help="Share of offers that change from day to day; no incidents then.", min=0, max=1)] = None,
    as_json: Json = False,
) -> None:
    """Generate a world of suppliers with known truth."""
    from endcap import sandbox

    _check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        raise BadInput("that folder is not empty", where=str(folder), todo="name a new one")
    world = sandbox.make(folder, offers=offers, days=days, seed=seed, incidents=change_share is None, change_share=change_share)
    report: dict[str, Any] = {"folder": str(folder), "seed": seed, "dates": world.dates, "suppliers": world.suppliers, "offers_per_day": world.offers_per_day}
    if as_json:
        print_json(report)
    else:
        records = sum(world.offers_per_day.values())
        typer.echo(f"{len(world.suppliers)} suppliers, {len(world.dates)} days, {records:,} records in {folder}; next: endcap run --dir {folder}")


def init(folder: Annotated[Path, typer.Argument(help="The new catalog's folder.")]) -> None:
    """Make a folder with a commented endcap.yaml to fill in."""
    from endcap.settings import FILE_NAME

    _check_folder(folder)
    target = folder / FILE_NAME
    if target.exists():
        raise BadInput(f"there is an {FILE_NAME} already", where=str(folder), todo="edit it, or name another folder")
    (folder / "inbox").mkdir(parents=True, exist_ok=True)
    template = Path(__file__).with_name("endcap.template.yaml").read_text(encoding="utf-8")
    target.write_text(template, encoding="utf-8")
    typer.echo(
        f"made {target}; put deliveries into {folder / 'inbox'}, then `endcap feed add FILE --dir {folder}` proposes a mapping, and adds it with --write"
    )


def feed_add(
    file: Annotated[Path, typer.Argument(help="A sample delivery.")],
    folder: Dir = HERE,
    name: Annotated[str, typer.Option(help="The feed's name; from the file's when left out.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Append the proposal to the settings file.")] = False,
) -> None:
    """Propose a contract and mapping from a sample, and show it."""
    from endcap.feeds.adding import add_feed
    from endcap.feeds.propose import propose

    proposal = propose(file)
    typer.echo(proposal.yaml)
    for note in proposal.notes:
        say(f"note: {note}")
    if write:
        added = add_feed(folder, proposal, name=name or proposal.name)
        typer.echo(f"added feed {added}; look it over, then `endcap run --dir {folder}`")
    else:
        say("look it over; `--write` adds it to the settings")


def add_to(app: typer.Typer) -> None:
    app.command("demo")(demo)
    app.command("sandbox")(make_sandbox)
    app.command("init")(init)
    feeds = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Suppliers' feeds.")
    feeds.command("add")(feed_add)
    feeds.callback()(lambda: None)
    app.add_typer(feeds, name="feed")
