"""Verbs of webhooks: what is to be told to whom, and telling it now."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.cli.options import HERE, Dir, Json, print_json, read_catalog, say

if TYPE_CHECKING:
    from endcap.settings import Catalog

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
# After a run receivers are waited for so long; what is left goes out by `endcap serve`, `endcap webhooks send` or the next run.
AFTER_A_RUN_S = 30.0
LISTED = 100


class What(StrEnum):
    """What to do with the outbox."""

    list = "list"
    send = "send"


def webhooks(
    what: Annotated[What, typer.Argument(help="list shows the outbox, the newest first; send sends what is due now.")] = What.list,
    folder: Dir = HERE,
    home: Home_ = None,
    again: Annotated[bool, typer.Option("--again", help="With send: also what was given up, from its first try.")] = False,
    as_json: Json = False,
) -> None:
    """List the outbox of webhooks, or send what is due.

    Exit code 1 when a receiver did not take what was sent, 2 when a secret is missing.
    """
    from endcap.ops import webhooks as outbox
    from endcap.ops.home import Home

    found = Home(read_catalog(folder, home=home))
    if what is What.list:
        rows, counts = outbox.listed(found, limit=LISTED), outbox.counts(found)
        if as_json:
            print_json({"counts": counts, "deliveries": rows})
            return
        for row in rows:
            left = "" if row["named"] else "; the settings name this receiver no more"
            typer.echo(f"{row['made_at']}  {row['event']:<16} {row['state']:<8} {row['attempts']} tried  {row['url']}  {row['said'] or ''}{left}".rstrip())
        typer.echo(", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in counts.items()))
        return
    if again:
        say(f"{outbox.try_again(found):,} given up are tried again")
    sending = outbox.send_due(found)
    if as_json:
        print_json({"tried": [asdict(one) for one in sending.tried], "problems": sending.problems})
    else:
        for one in sending.tried:
            typer.echo(f"{one.event} {one.event_id} to {one.url}: {one.state.replace('_', ' ')}" + (f", {one.said}" if one.said else ""))
        typer.echo(f"{sum(one.said is None for one in sending.tried):,} sent, {sum(one.said is not None for one in sending.tried):,} not taken")
    for problem in sending.problems:
        say(f"endcap: {problem}")
    if sending.problems or any(one.said for one in sending.tried):
        raise typer.Exit(2 if sending.problems else 1)


def tell_receivers(catalog: Catalog) -> None:
    """Send what is due after a run; whatever goes wrong with it, the run stands."""
    if not catalog.webhooks:
        return
    from endcap.ops import webhooks as outbox
    from endcap.ops.home import Home

    try:
        sending = outbox.send_due(Home(catalog), seconds=AFTER_A_RUN_S)
    except Exception as error:  # how the run ended is what its caller must hear
        say(f"webhooks were not sent, they wait in the outbox: {' '.join(str(error).split())[:200]}")
        return
    for one in sending.tried:
        if one.said:
            say(f"webhook {one.event} to {one.url}: {one.said}; it is tried again later" if one.state == "waiting" else f"webhook {one.url}: given up")
    for sentence in sending.problems:
        say(f"webhooks wait: {sentence}")


def add_to(app: typer.Typer) -> None:
    app.command("webhooks")(webhooks)
