"""Verbs of learning: review, train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, print_json, read_catalog

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]


def review(folder: Dir = HERE, home: Home_ = None, by: By = "", limit: Annotated[int, typer.Option(help="Items at most.", min=1)] = 1000) -> None:
    """Answer what waits for a person.

    One key each: same, different, another candidate, new product, skip, undo.
    """
    from endcap.cli.asking import ask_all
    from endcap.ops.home import Home

    ask_all(Home(read_catalog(folder, home=home)), actor=actor(by), limit=limit)


What = Annotated[str, typer.Option("--what", help="match, category, attributes, known (the last two as one), or all of them.")]


def train(
    folder: Dir = HERE, home: Home_ = None, seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 7, what: What = "match", as_json: Json = False
) -> None:
    """Fit a challenger on all standing answers.

    It decides nothing until it is promoted; where it is better, a proposal to do so is written. With `--what all` one of every kind that there
    are answers for.
    """
    from dataclasses import asdict

    from endcap.govern.automatic import propose_trained
    from endcap.learn.train import train_all
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    with home_.writer():
        results, missing = train_all(home_, seed=seed, what=what)
    proposed = {one.model_id: propose_trained(home_, one) for one in results if one.better}
    if as_json:
        told = [{**asdict(one), "proposal": proposed[one.model_id]["proposal_id"] if one.model_id in proposed else None} for one in results]
        print_json(told[0] if what != "all" else {"challengers": told, "missing": missing})
        return
    for line in [*(one.summary() for one in results), *missing]:
        typer.echo(line)
    for one in proposed.values():
        typer.echo(f"proposal {one['proposal_id']}: {one['hypothesis']}")
        typer.echo(f"`endcap proposals accept {one['proposal_id']}` agrees to it, `endcap proposals show {one['proposal_id']}` says all of it")


def add_to(app: typer.Typer) -> None:
    app.command("review")(review)
    app.command("train")(train)
