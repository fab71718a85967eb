"""Verbs that make the catalog: plan, run, release, snapshot list, diff, verify."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, print_json, read_catalog, say
from endcap.cli.telling import tell_receivers

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
Inbox = Annotated[Path | None, typer.Option("--inbox", help="Folder in which deliveries lie, instead of the settings' own.")]
Dates = Annotated[list[str] | None, typer.Option("--date", help="Only deliveries of this ISO date; may be given several times.")]
Until = Annotated[str | None, typer.Option("--until", help="Only deliveries up to this ISO date.")]
HELD = 3


def plan(folder: Dir = HERE, inbox: Inbox = None, home: Home_ = None, dates: Dates = None, until: Until = None, as_json: Json = False) -> None:
    """Say what a run would take in, without changing anything."""
    from endcap import flow
    from endcap.cli import show

    planned = flow.plan(read_catalog(folder, home=home, inbox=inbox), dates=dates, until=until)
    if as_json:
        print_json(planned)
    else:
        show.print_plan(planned)


def run(
    folder: Dir = HERE,
    inbox: Inbox = None,
    home: Home_ = None,
    dates: Dates = None,
    until: Until = None,
    accept: Annotated[list[str] | None, typer.Option("--accept", help="Let a suspicion through that held the run, once; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Take in what has arrived and publish snapshots.

    One for each delivery date. It may be killed at any moment and run again; exit code 3 says that a delivery was held. Webhooks that are due
    are sent at the end.
    """
    from endcap import flow
    from endcap.cli import show

    settings = read_catalog(folder, home=home, inbox=inbox)
    try:
        results = flow.run(settings, dates=dates, until=until, accept=accept or [], say=say)
    except Exception:
        tell_receivers(settings)
        raise
    tell_receivers(settings)
    if as_json:
        print_json({"runs": [asdict(result) for result in results], "snapshot": results[-1].snapshot_id, "content_hash": results[-1].content_hash})
    else:
        show.print_runs(results)
    if any(result.held for result in results):
        raise typer.Exit(HELD)


def release(
    feed: Annotated[str, typer.Argument(help="The held feed.")],
    date: Annotated[str, typer.Argument(help="The held delivery's ISO date.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is right after all.")],
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
) -> None:
    """Let a held delivery through at the next run.

    It is then read without the guards that compare shares; what cannot be read at all stays out.
    """
    from endcap.feeds.release import release_delivery
    from endcap.ops.home import Home

    release_delivery(Home(read_catalog(folder, home=home)), feed, date, actor=actor(by), reason=reason)
    typer.echo(f"released {feed} {date}; `endcap run` takes it in")


def snapshot_list(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """List the snapshots, the newest first."""
    from endcap.cli import show
    from endcap.ops.home import Home
    from endcap.ops.tables import SNAPSHOTS

    rows = Home(read_catalog(folder, home=home)).rows(SNAPSHOTS).sort_by([("run", "descending")]).to_pylist()
    listed = [{name: row[name] for name in ("snapshot_id", "parent", "run", "created_at", "current", "content_hash")} for row in rows]
    for entry, row in zip(listed, rows, strict=True):
        entry["products"] = json.loads(row["published_json"]).get("products")
    if as_json:
        print_json({"snapshots": listed})
    else:
        show.print_snapshots(listed)


def snapshot_diff(
    old: Annotated[str, typer.Argument(help="A snapshot's id, or its unique beginning.")],
    new: Annotated[str, typer.Argument(help="Another's.")],
    folder: Dir = HERE,
    home: Home_ = None,
    as_json: Json = False,
) -> None:
    """Say what changed between two snapshots."""
    from endcap.cli import show
    from endcap.ops.home import Home
    from endcap.publish.history import diff_snapshots

    diff = diff_snapshots(Home(read_catalog(folder, home=home)), old, new)
    if as_json:
        print_json(diff.to_dict())
    else:
        show.print_diff(diff)


def snapshot_verify(
    folder: Dir = HERE,
    home: Home_ = None,
    snapshot: Annotated[str | None, typer.Argument(help="A snapshot's id; the current one when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Compare a snapshot's files with their sha256.

    Exit code 1 when one differs or is missing.
    """
    from endcap.ops.home import Home
    from endcap.publish.history import verify_snapshot

    snapshot_id, files, faults = verify_snapshot(Home(read_catalog(folder, home=home)), snapshot)
    if as_json:
        print_json({"snapshot": snapshot_id, "files": files, "faults": faults})
    else:
        typer.echo(f"{snapshot_id}: {files} files, " + ("all as they were published" if not faults else "; ".join(faults)))
    if faults:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command("plan")(plan)
    app.command("run")(run)
    app.command("release")(release)
    snapshots = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Published versions of the catalog.")
    snapshots.command("list")(snapshot_list)
    snapshots.command("diff")(snapshot_diff)
    snapshots.command("verify")(snapshot_verify)
    app.add_typer(snapshots, name="snapshot")
