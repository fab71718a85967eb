"""Verbs of reported problems: report, loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, known_number, print_json, read_catalog

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
ANSWER = known_number("answer", "`endcap explain OFFER` shows the answers on an offer")
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the record.")]


def report(
    offer: Annotated[str, typer.Argument(help="The offer it is about.")] = "",
    other: Annotated[str, typer.Argument(help="Another offer, where the two are wrongly together or apart.")] = "",
    expect: Annotated[str, typer.Option(help="What is right of the two: same or different.")] = "",
    product: Annotated[str, typer.Option(help="The product of which a value is wrong.")] = "",
    field: Annotated[str, typer.Option(help="Which value of it.")] = "",
    value: Annotated[str, typer.Option(help="What it should be.")] = "",
    title: Annotated[str, typer.Option(help="What is wrong, in a few words.")] = "",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Report a problem: it is one loop until it is right, for good.

    The same case reported again merges into the oldest, and opens it again where it was closed.
    """
    from endcap.govern import loops
    from endcap.ops.home import Home

    words = title or (f"{offer} and {other} are {expect}" if other else f"{field} of {product} is {value}" if field else "")
    row = loops.report(
        Home(read_catalog(folder, home=home)), title=words, reporter=actor(by), source="command", offer_id=offer or None, other=other or None,
        expected=expect or None, product_id=product or None, field=field or None, value=value or None,
    )  # fmt: skip
    if as_json:
        print_json(row)
    else:
        typer.echo(f"loop {row['loop_id']}, {row['owner']}'s: {row['title']}")
        if not (row["counterpart_offer_id"] or row["field"]):
            typer.echo("it names no other offer and no value, so that no replay can verify it; `endcap report OFFER OTHER --expect same|different` does")


Loop = Annotated[int, typer.Argument(help="The loop's number.", callback=known_number("loop", "see `endcap loops list`"))]


def loops_list(
    folder: Dir = HERE, home: Home_ = None, open_only: Annotated[bool, typer.Option("--open", help="Only open ones.")] = False, as_json: Json = False
) -> None:
    """List reported problems, the oldest first."""
    from endcap.govern import loops
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    loops.gather(home_)
    rows = loops.all_loops(home_, open_only=open_only)
    if as_json:
        print_json({"loops": rows})
        return
    if not rows:
        typer.echo("no reported problem; `endcap report` opens a loop")
    for row in rows:
        again = f", reopened {row['reopened']} times" if row["reopened"] else ""
        reports = "1 report" if row["reports"] == 1 else f"{row['reports']} reports"
        case = f"  [{_case_of(row)}]" if _case_of(row) else ""
        typer.echo(f"{row['loop_id']:>4}  {row['state']:<12} {row['opened_at'][:10]}  {row['owner']:<12} {row['title']}{case}  ({reports}{again})")


def loops_show(number: Loop, folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Show a loop: what was expected, its clock, and the last replay."""
    from endcap.govern.loops import loop
    from endcap.ops.home import Home

    _print_loop(loop(Home(read_catalog(folder, home=home)), number), as_json)


def loops_acknowledge(
    number: Loop, owner: Annotated[str, typer.Option(help="Whose it is; unchanged when left out.")] = "", folder: Dir = HERE, home: Home_ = None, by: By = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Take a loop on, or hand it to its owner."""
    from endcap.govern.loops import acknowledge
    from endcap.ops.home import Home

    _print_loop(acknowledge(Home(read_catalog(folder, home=home)), number, actor=actor(by), owner=owner or None), as_json)


def loops_decide(
    number: Loop, comment: Annotated[str, typer.Option("--comment", help="What is done about it.")],
    answer: Annotated[int, typer.Option("--answer", help="The answer that mends the case meanwhile.", callback=ANSWER)] = 0,
    folder: Dir = HERE, home: Home_ = None, by: By = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say what is done about a loop; an answer on its case says so by itself at the next run."""
    from endcap.govern.loops import decide
    from endcap.ops.home import Home

    _print_loop(decide(Home(read_catalog(folder, home=home)), number, actor=actor(by), comment=comment, override_id=answer or None), as_json)


def loops_verify(number: Loop, folder: Dir = HERE, home: Home_ = None, by: By = "", as_json: Json = False) -> None:
    """Replay a loop's case under the champion without its own answer, with its sibling cases."""
    from endcap.govern.loops import verify
    from endcap.ops.home import Home

    row = verify(Home(read_catalog(folder, home=home)), number, actor=actor(by))
    _print_loop(row, as_json)


def loops_close(
    number: Loop, cause: Annotated[str, typer.Option("--cause", help="feed_data, normalisation, blocking_miss, scoring, clustering, taxonomy, attribute, policy_threshold, human_error, search_index or not_a_bug.")],  # noqa: E501
    comment: Annotated[str, typer.Option("--comment", help="What it was, and what was done.")], folder: Dir = HERE, home: Home_ = None, by: By = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Close a loop; its case must come out right by itself, and stays a test for ever."""
    from endcap.govern.loops import close
    from endcap.ops.home import Home

    _print_loop(close(Home(read_catalog(folder, home=home)), number, actor=actor(by), cause=cause, comment=comment), as_json)


def _case_of(row: dict[str, Any]) -> str:
    """What a loop is about, in words; empty where it names no offer and no product."""
    if row["counterpart_offer_id"]:
        return f"{row['offer_id']} and {row['counterpart_offer_id']} should be {row['expected']}"
    if row["field"]:
        return f"{row['product_id']}: {row['field']} should be {row['value']}"
    return str(row["offer_id"] or row["product_id"] or "")


def _print_loop(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    typer.echo(f"loop {row['loop_id']} is {row['state']}: {row['title']}")
    if _case_of(row):
        typer.echo(_case_of(row))
    for name in ("opened", "acknowledged", "decided", "released", "in_snapshot", "verified", "closed"):
        if row[f"{name}_at"]:
            typer.echo(f"{row[f'{name}_at']}  {name.replace('_', ' ')}")
    told = json.loads(row["replay_json"]) if row["replay_json"] else None
    if told:
        typer.echo(told["words"])
    if row["cause"]:
        typer.echo(f"{row['cause']}: {row['comment']}")


def add_to(app: typer.Typer) -> None:
    app.command("report")(report)
    problems = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Reported problems, from open to verified.")
    problems.command("list")(loops_list)
    problems.command("show")(loops_show)
    problems.command("acknowledge")(loops_acknowledge)
    problems.command("decide")(loops_decide)
    problems.command("verify")(loops_verify)
    problems.command("close")(loops_close)
    app.add_typer(problems, name="loops")
