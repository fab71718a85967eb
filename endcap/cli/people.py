"""Verbs of access: who may sign in, and tokens for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, print_json, read_catalog

if TYPE_CHECKING:
    from endcap.ops.access import User

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
Role = Annotated[str, typer.Option(help="viewer, reviewer, lead or admin; each may do what those before it may.")]

Supplier = Annotated[str, typer.Option(help="A supplier's name; * is every supplier.")]
Category = Annotated[str, typer.Option(help="A category, with all below it; * is every category.")]


def user(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[str, typer.Option(help="viewer, reviewer, lead or admin; left out, a new user is reviewer and another keeps theirs.")] = "",
    team: Annotated[str, typer.Option(help="The team, stored with each answer; left out, a new user has the settings' own and another keeps theirs.")] = "",
    outside: Annotated[bool, typer.Option("--outside", help="Signs in by the OpenID provider alone; for grants given before the first time.")] = False,
    lock: Annotated[bool | None, typer.Option("--lock/--unlock", help="Lock the user out, sessions and tokens at once; or let them sign in again.")] = None,
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Make a user, give one another role and password, or lock one out.

    With --outside there is no password: the user signs in by the OpenID provider of the settings, which says the role. Else the password is asked
    for, or read from standard input where that is no terminal. Sessions of before end; who is locked out stays so. --lock and --unlock go alone: they
    change nothing else.
    """
    from endcap.ops import access
    from endcap.ops.home import Home
    from endcap.problems import BadInput

    home_ = Home(read_catalog(folder, home=home))
    if lock is not None:
        others = [option for option, given in (("--role", role), ("--team", team), ("--outside", outside)) if given]
        if others:
            what, alone = f"{'--lock' if lock else '--unlock'} changes nothing else of a user", f"endcap user {name}"
            raise BadInput(what, where=" ".join(others), todo=f"say it alone, and what else is to change in another `{alone}`")
        access.lock(home_.engine, name, locked=lock, actor=actor(by))
        typer.echo(f"{name} is locked out; what they answered stays" if lock else f"{name} may sign in again")
        return
    asked = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if not outside and sys.stdin.isatty() else None
    password = None if outside else asked if asked is not None else sys.stdin.readline().rstrip("\n")
    made = access.add_user(home_.engine, name, role or None, team=team or None, password=password, actor=actor(by), house=home_.catalog.team)
    typer.echo(f"{name} stays locked out; `endcap user {name} --unlock` lets them in again" if made.locked else f"{name} may sign in as {made.role}")


def grant(
    name: Annotated[str, typer.Argument(help="The user.")],
    role: Annotated[str, typer.Option(help="reviewer, lead or admin; each may do what those before it may.")] = "reviewer",
    supplier: Supplier = "*",
    category: Category = "*",
    end: Annotated[bool, typer.Option("--end", help="Take the grant for this scope away.")] = False,
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Give a user a role for a supplier, a category or both, at once.

    Whoever has grants may change what these say and look at everything; without any, the user's role holds everywhere. A product is within
    reach where all of its offers are.
    """
    from endcap.ops import access
    from endcap.ops.home import Home
    from endcap.review import granting

    found_home = Home(read_catalog(folder, home=home))
    engine, scope = found_home.engine, access.Scope(role, supplier, category)
    if end:
        access.withdraw(engine, name, scope, actor=actor(by))
    else:
        granting.grant(found_home, name, scope, actor=actor(by))
    found = next(one for one in access.users(engine) if one.name == name)
    typer.echo(_may(found))


def users(folder: Dir = HERE, home: Home_ = None, json: Json = False) -> None:
    """Everybody who may sign in, with team and what each may do where, and the tokens that hold."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from endcap.ops import access
    from endcap.ops.home import Home

    engine = Home(read_catalog(folder, home=home)).engine
    found, tokens = access.users(engine), access.tokens(engine)
    if json:
        print_json({"users": [asdict(one) for one in found], "tokens": [asdict(one) for one in tokens]})
        return
    for one in found:
        typer.echo(f"{_may(one)}; team {one.team}{'; locked' if one.locked else ''}")
    for holds in tokens:
        of = f" of {holds.owner}" if holds.owner else ""
        typer.echo(f"token {holds.name}{of}: {holds.role}, until {datetime.fromtimestamp(holds.until, UTC):%Y-%m-%d}; id {holds.token_id}")
    if not found:
        typer.echo("nobody yet; make one with `endcap user NAME`")


def _may(user: User) -> str:
    return f"{user.name}: {', '.join(one.words() for one in user.grants) or f'{user.role} of everything'}"


def token(
    name: Annotated[str, typer.Argument(help="What the program is called in the record; with --end, the token's id.")],
    role: Role = "viewer",
    days: Annotated[float, typer.Option(help="How long it holds.", max=366)] = 90,
    end: Annotated[bool, typer.Option("--end", help="End the token of this id at once.")] = False,
    of: Annotated[str, typer.Option("--of", help="The user whose scopes hold for it, as they are when it is used, and whose team its answers are.")] = "",
    supplier: Supplier = "*",
    category: Category = "*",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Make a token for a program, shown this once, or end one; it may be narrower than its user, never wider."""
    from endcap.ops import access
    from endcap.ops.home import Home
    from endcap.problems import BadInput
    from endcap.review import granting

    found = Home(read_catalog(folder, home=home))
    engine = found.engine
    if end:
        if not access.end(engine, name, actor=actor(by)):
            raise BadInput(f"there is no token {name!r} that holds", where="token", todo="its id was printed when it was made")
        typer.echo(f"{name} has ended")
        return
    secret = granting.make_token(found, name, role, days=days, actor=actor(by), owner=of or None, supplier=supplier, category=category)
    made = access.who(engine, secret, "token")
    typer.echo(secret)
    if made is not None:  # what it may is told as it holds, not as it was asked for
        may = ", ".join(one.words() for one in made.reach) or "viewer of everything"
        typer.echo(f"holds {days:g} days as {may}; end it with `endcap token {made.pass_id} --end`", err=True)


def add_to(app: typer.Typer) -> None:
    for verb in (user, users, grant, token):
        app.command()(verb)
