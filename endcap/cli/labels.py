"""Verbs of labels: what there is to learn from and from whom, contradictions, gold sets, and one person's labels taken back."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, print_json, read_catalog

if TYPE_CHECKING:
    from endcap.ops.home import Home

Person = Annotated[str, typer.Argument(help="Whose labels.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the record.")]
MOST_SHOWN = 50


def labels(
    context: typer.Context,
    folder: Dir = HERE,
    contradictions: Annotated[bool, typer.Option("--contradictions", help="List pairs of which both is said.")] = False,
    as_json: Json = False,
) -> None:
    """Say what there is to learn from, from whom, and how far each can be trusted."""
    if context.invoked_subcommand is not None:
        return
    from endcap.learn.labels import contradictions as contradicted
    from endcap.learn.labels import labels_now
    from endcap.learn.reliability import reviewers

    home = _home(folder)
    with home.connect() as con:
        known, people = labels_now(con, home.manifest().run), reviewers(con)
    found = contradicted(known)
    if as_json:
        told: dict[str, Any] = {"labels": dict(sorted(Counter(known["source"].to_pylist()).items())), "reviewers": [asdict(one) for one in people]}
        print_json(told | {"contradictions": [asdict(one) for one in found] if contradictions else len(found)})
        return
    if contradictions:
        for one in found[:MOST_SHOWN]:
            chance = "audits teach none" if one.chance_same is None else f"{one.chance_same:.0%} the same"
            typer.echo(f"{one.left_id} and {one.right_id}: {one.words} ({chance})")
        typer.echo(f"{len(found)} pairs of which both is said" + (f", the {MOST_SHOWN} most undecided shown" if len(found) > MOST_SHOWN else ""))
        return
    for source, count in sorted(Counter(known["source"].to_pylist()).items()):
        typer.echo(f"{count:>8,} {source.replace('_', ' ')}" + ("  (judge, and teach none)" if source == "audit" else ""))
    typer.echo(f"{len(found):>8,} pairs of which both is said (--contradictions)")
    for person in people:
        state = "held back" if person.held else "FLAGGED" if person.flagged else "teaches"
        rates = f"says same wrongly {person.false_same:.1%}, different wrongly {person.false_different:.1%}"
        typer.echo(f"{person.person}: {person.answers} pairs, {state}; {rates}; {person.words}")


def add(
    file: Annotated[Path, typer.Argument(help="CSV with left_id, right_id, same (1 or 0).")], folder: Dir = HERE, by: By = "", as_json: Json = False
) -> None:
    """Add pairs whose truth is known: they teach, and are mixed into what people are asked, to know how often each errs."""
    from endcap.learn.labels import add_gold

    home = _home(folder)
    with home.writer():
        count = add_gold(home, file, actor=actor(by))
    if as_json:
        print_json({"added": count})
    else:
        typer.echo("1 gold label is new" if count == 1 else f"{count:,} gold labels are new")


def revert(person: Person, reason: Reason, folder: Dir = HERE, by: By = "", as_json: Json = False) -> None:
    """Hold one person's labels back: they teach and judge nothing, as if never given; their answers stay in force."""
    _hold(folder, person, held=True, by=by, reason=reason, as_json=as_json)


def restore(person: Person, reason: Reason, folder: Dir = HERE, by: By = "", as_json: Json = False) -> None:
    """Let a person's labels teach again."""
    _hold(folder, person, held=False, by=by, reason=reason, as_json=as_json)


def _hold(folder: Path, person: str, *, held: bool, by: str, reason: str, as_json: bool) -> None:
    from endcap.learn.labels import hold

    hold(_home(folder), person, held=held, actor=actor(by), reason=reason)
    if as_json:
        print_json({"person": person, "held": held})
    else:
        words = "teach and judge nothing from now on; their answers stay in force" if held else "teach again"
        typer.echo(f"the labels of {person} {words}; `endcap train` and `endcap run` take that in")


def _home(folder: Path) -> Home:
    from endcap.ops.home import Home

    return Home(read_catalog(folder))


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
    group.callback()(labels)
    group.command("add")(add)
    group.command("revert")(revert)
    group.command("restore")(restore)
    app.add_typer(group, name="labels")
