"""Verbs of the promise: audit asks about random decisions, promise says what the answers prove."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, print_json, read_catalog

if TYPE_CHECKING:
    from endcap.ops.home import Home
    from endcap.review.audit import AuditItem, Side

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]


def audit(
    what: Annotated[str, typer.Argument(help="'verify' checks the record of everything that people did; without it decisions are judged.")] = "",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    count: Annotated[int, typer.Option(help="Decisions to judge at most.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the draw; keep it the same, so that audits go on where they ended.")] = 7,
) -> None:
    """Judge decisions drawn at random, so that it is known how often the machine is right.

    y the same product, n different, s skip, q stop; where several are shown, the number of the one that is the same. The likeness is not shown.
    """
    from endcap.ops.home import Home
    from endcap.problems import BadInput
    from endcap.review.audit import answer_audit, draw

    home_ = Home(read_catalog(folder, home=home))
    if what:
        _verify(home_, what)
        return
    if home_.snapshot() is None:
        raise BadInput("there is no catalog yet", where=str(home_.path), todo="run `endcap run` first")
    with home_.connect() as con:
        items = draw(con, count, seed=seed)
    typer.echo(f"{len(items)} decisions drawn at random.  {_keys(1)}   1 to 9 where several are shown")
    given = 0
    for number, item in enumerate(items, start=1):
        key = _ask(item, f"[{number}/{len(items)}]")
        if key == "q":
            break
        if key != "s":
            answer_audit(home_, item, same={"y": 1, "n": 0}[key] if key in "yn" else int(key), actor=actor(by))
            given += 1
    typer.echo(f"{given} audits kept; `endcap run` takes them in, `endcap promise` says what they prove.")


def _verify(home: Home, what: str) -> None:
    from endcap.ops.audit import HEADS, note_head, verify
    from endcap.problems import BadInput

    if what != "verify":
        raise BadInput(f"audit knows no {what!r}", where="audit", todo="give verify, or nothing")
    home.check_database()
    found = verify(home.engine, home.path / HEADS)
    if found.broken is not None:
        typer.echo(f"endcap: the audit is broken: {found.words}; the {found.rows} rows before it are whole. Restore the database from a backup.", err=True)
        raise typer.Exit(1)
    note_head(home.engine, home.path / HEADS)
    typer.echo(f"the audit is whole: {found.rows} rows, each sealed with the one before; {HEADS} notes the last one, to be copied elsewhere")


def promise(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Say what precision the audits prove, or how many answers are missing."""
    from endcap.decide.in_force import in_force
    from endcap.decide.promised import thresholds
    from endcap.ops.home import Home
    from endcap.settings import Promised

    home_ = Home(read_catalog(folder, home=home))
    catalog = in_force(home_)
    asked = catalog.policy.promise is not None or bool(catalog.policy.scopes)
    policy = catalog.policy if asked else catalog.policy.model_copy(update={"promise": Promised()})
    with home_.connect() as con:
        found = thresholds(con, policy)
    if as_json:
        print_json({"asked": asked, "accept": catalog.policy.accept, "promises": {name: asdict(one) for name, one in found.promises.items()}})
        return
    if not asked:
        typer.echo(f"No promise is asked for: links from likeness {catalog.policy.accept:g} on rest on nothing that was audited. Set policy.promise to ask.")
    for name, one in found.promises.items():
        typer.echo(f"{name}: {one.words}")


def _ask(item: AuditItem, head: str) -> str:
    """Out: y, n, s, q, or the number of the choice that is the same product."""
    choices = [side for side, _product in item.choices]
    numbers = [str(number) for number in range(1, len(choices) + 1)]
    typer.echo(f"\n{head}\n     {_shown(item.offer)}")
    for number, side in zip(numbers, choices, strict=True):
        typer.echo(f"  {number if len(choices) > 1 else ' '}  {_shown(side)}")
    while True:
        typer.echo("> ", nl=False)
        line = sys.stdin.readline()
        key = line.strip().lower() if line else "q"
        if key in ("n", "s", "q", *numbers) or (key == "y" and len(choices) == 1):
            return key
        typer.echo(_keys(len(choices)))


def _keys(choices: int) -> str:
    same = "y same product   n different" if choices == 1 else f"1 to {choices} the same product   n none of them"
    return f"{same}   s skip   q stop"


def _shown(side: Side) -> str:
    facts: list[Any] = [fact for fact in (side.brand, side.quantity_text, side.price) if fact and fact.strip()]
    return f"{side.supplier} says   {side.title}" + (f"   ({', '.join(facts)})" if facts else "")


def add_to(app: typer.Typer) -> None:
    app.command("audit")(audit)
    app.command("promise")(promise)
