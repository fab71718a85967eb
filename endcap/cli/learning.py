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


def train(folder: Dir = HERE, home: Home_ = None, seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 7, as_json: Json = False) -> None:
    """Fit a challenger on all standing answers.

    It decides nothing until it is promoted; where it is better, a proposal to do so is written.
    """
    from dataclasses import asdict

    from endcap.govern.automatic import propose_trained
    from endcap.learn.train import train as train_challenger
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    with home_.writer():
        result = train_challenger(home_, seed=seed)
    proposed = propose_trained(home_, result) if result.better else None
    if as_json:
        print_json({**asdict(result), "proposal": proposed["proposal_id"] if proposed else None})
        return
    typer.echo(result.summary())
    if proposed:
        typer.echo(f"proposal {proposed['proposal_id']}: {proposed['hypothesis']}")
        typer.echo(f"`endcap proposals accept {proposed['proposal_id']}` agrees to it, `endcap proposals show {proposed['proposal_id']}` says all of it")


def add_to(app: typer.Typer) -> None:
    app.command("review")(review)
    app.command("train")(train)
