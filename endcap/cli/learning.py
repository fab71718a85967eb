"""Verbs of the loop: review, train, promote, rollback, model history."""

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


What = Annotated[str, typer.Option("--what", help="match, category, attributes, or all of them.")]


def train(
    folder: Dir = HERE, home: Home_ = None, seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 7, what: What = "match", as_json: Json = False
) -> None:
    """Fit a challenger on all standing answers.

    It decides nothing until it is promoted. With `--what all` one of every kind that there are answers for.
    """
    from dataclasses import asdict

    from endcap.learn.train import train_all
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    with home_.writer():
        results, missing = train_all(home_, seed=seed, what=what)
    if as_json:
        print_json(asdict(results[0]) if what != "all" else {"challengers": [asdict(one) for one in results], "missing": missing})
        return
    for line in [*(one.summary() for one in results), *missing]:
        typer.echo(line)


def promote(
    model_id: Annotated[str, typer.Argument(help="A trained model's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")],
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Make a model the champion; the next run decides with it."""
    from endcap.learn.promote import promote as promote_model
    from endcap.ops.home import Home

    record = promote_model(Home(read_catalog(folder, home=home)), model_id, actor=actor(by), reason=reason)
    if as_json:
        print_json(record)
    else:
        typer.echo(f"{model_id} is the champion in place of {record['previous']}; the next `endcap run` decides with it")


def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")],
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Go back to the champion before this one."""
    from endcap.learn.promote import rollback as rollback_model
    from endcap.ops.home import Home

    record = rollback_model(Home(read_catalog(folder, home=home)), actor=actor(by), reason=reason)
    if as_json:
        print_json(record)
    else:
        typer.echo(f"{record['model_id']} is the champion again; the next `endcap run` decides with it")


def model_history(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """List which model decided since when, and why."""
    from endcap.learn.promote import history
    from endcap.ops.home import Home

    rows = history(Home(read_catalog(folder, home=home)))
    if as_json:
        print_json({"promotions": rows})
        return
    if not rows:
        typer.echo("no model yet; `endcap run` fits the first one")
    for row in rows:
        typer.echo(f"{row['at']}  {row['model_id']}  by {row['actor']}  on {row['data_version']}  after {row['previous'] or 'none'}: {row['reason']}")


def add_to(app: typer.Typer) -> None:
    app.command("review")(review)
    app.command("train")(train)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Models in production.")
    models.command("history")(model_history)
    models.callback()(lambda: None)
    app.add_typer(models, name="model")
