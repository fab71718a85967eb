"""Verbs of access: who may sign in, and tokens for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from endcap.cli.options import HERE, By, Dir, actor, read_catalog

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
Role = Annotated[str, typer.Option(help="viewer, reviewer, lead or admin; each may do what those before it may.")]


def user(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Role = "reviewer",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Make a user, or give one another role and password.

    The password is asked for, or read from standard input where that is no terminal. Sessions of before end.
    """
    from endcap.ops.access import add_user
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    add_user(home_.engine, name, role, team=home_.catalog.team, password=password, actor=actor(by))
    typer.echo(f"{name} may sign in as {role}")


def token(
    name: Annotated[str, typer.Argument(help="What the program is called in the record; with --end, the token's id.")],
    role: Role = "viewer",
    days: Annotated[float, typer.Option(help="How long it holds.", max=366)] = 90,
    end: Annotated[bool, typer.Option("--end", help="End the token of this id at once.")] = False,
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Make a token for a program, shown this once, or end one."""
    from endcap.ops import access
    from endcap.ops.home import Home
    from endcap.problems import BadInput

    engine = Home(read_catalog(folder, home=home)).engine
    if end:
        if not access.end(engine, name, actor=actor(by)):
            raise BadInput(f"there is no token {name!r} that holds", where="token", todo="its id was printed when it was made")
        typer.echo(f"{name} has ended")
        return
    secret = access.make_token(engine, name, role, days=days, actor=actor(by))
    made = access.who(engine, secret, "token")
    typer.echo(secret)
    typer.echo(f"holds {days:g} days as {role}; end it with `endcap token {made.pass_id if made else ''} --end`", err=True)


def add_to(app: typer.Typer) -> None:
    for verb in (user, token):
        app.command()(verb)
