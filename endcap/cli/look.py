"""Verbs that look: products, explain, metrics, triage, digest, serve, shelves, check, doctor."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from endcap.cli.options import HERE, Dir, Json, print_json, read_catalog, say
from endcap.cli.start import first_question

if TYPE_CHECKING:
    from endcap.ops.home import Home

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]


def explain(
    subject: Annotated[str, typer.Argument(help="An offer's id (feed:id) or a product's (P...).")],
    other: Annotated[str, typer.Argument(help="A second offer's id: why the two are, or are not, one product.")] = "",
    folder: Dir = HERE,
    home: Home_ = None,
    as_json: Json = False,
) -> None:
    """Say why: candidates, feature values, decision, history.

    Given two offers, say at which step they fell out, or how they came together, with the score as a sum; any two will do.
    """
    from endcap.cli import show
    from endcap.decide.explain import explain as explain_subject
    from endcap.ops.home import Home

    if other:
        _explain_two(Home(read_catalog(folder, home=home)), subject, other, as_json)
        return
    explanation = explain_subject(Home(read_catalog(folder, home=home)), subject)
    if as_json:
        print_json(explanation)
    else:
        show.print_explanation(explanation)


def _explain_two(home: Home, one: str, other: str, as_json: bool) -> None:
    from dataclasses import asdict

    from endcap.cli.show_pair import lines_of
    from endcap.decide.between import explain_between

    explanation = explain_between(home, one, other)
    if as_json:
        print_json(asdict(explanation))
    else:
        typer.echo("\n".join(lines_of(explanation)))


def products(
    feeds: Annotated[list[str] | None, typer.Option("--in", help="Only products that this feed sells; may be given several times.")] = None,
    text: Annotated[str, typer.Option("--text", help="Only products whose title holds this.")] = "",
    limit: Annotated[int, typer.Option(help="Products to list at most.", min=1)] = 20,
    folder: Dir = HERE,
    home: Home_ = None,
    as_json: Json = False,
) -> None:
    """List live products, for example those that several feeds share."""
    from dataclasses import asdict

    from endcap.cli import show
    from endcap.ops.home import Home
    from endcap.publish.overlap import shared_products

    with Home(read_catalog(folder, home=home)).connect() as con:
        count, found = shared_products(con, feeds or [], text=text, limit=limit)
    if as_json:
        print_json({"count": count, "products": [asdict(product) for product in found]})
    else:
        show.print_products(count, found)


def metrics(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Print the shared metrics with n and interval."""
    from endcap.cli import show
    from endcap.metrics import measure
    from endcap.ops.home import Home

    with Home(read_catalog(folder, home=home)).connect() as con:
        figures = measure(con)
    if as_json:
        print_json({"metrics": [figure.to_dict() for figure in figures]})
    else:
        show.print_metrics(figures)


def triage(
    scope: Annotated[str, typer.Argument(help="A category or supplier; '*' is everything.")] = "*",
    folder: Dir = HERE,
    home: Home_ = None,
    as_json: Json = False,
) -> None:
    """Say why the match rate moved between the last two runs."""
    from endcap.govern import triage as triage_scope
    from endcap.ops.home import Home

    with Home(read_catalog(folder, home=home)).connect() as con:
        result = triage_scope(con, scope)
    if as_json:
        print_json(result.to_dict())
    else:
        typer.echo(result.summary())


def digest(
    ritual: Annotated[str, typer.Argument(help="catalog-sync, handoff or retail.")],
    folder: Dir = HERE,
    home: Home_ = None,
    as_json: Json = False,
) -> None:
    """Write the digest of one of the three rituals, as Markdown."""
    from endcap.govern import digest as digest_of
    from endcap.ops.home import Home

    with Home(read_catalog(folder, home=home)).connect() as con:
        result = digest_of(con, ritual)
    if as_json:
        print_json(result.to_dict())
    else:
        typer.echo(result.summary())


def serve(
    folder: Dir = HERE,
    home: Home_ = None,
    port: Annotated[int, typer.Option(help="Port on loopback.", min=0, max=65535)] = 8321,
    seconds: Annotated[float, typer.Option(help="Stop by itself after so many seconds; 0 means never.", min=0)] = 0,
    development: Annotated[bool, typer.Option("--development", help="Have /style too, a page of all components.")] = False,
) -> None:
    """Serve pages and API on loopback.

    The OpenAPI description is at /openapi.json.
    """
    from endcap.ops.home import Home
    from endcap.serve.serving import serve_home

    found = Home(read_catalog(folder, home=home))
    serve_home(found, port=port, name=getpass.getuser(), seconds=seconds, say=say, first=first_question(folder), development=development)


def shelves(as_json: Json = False) -> None:
    """List every shelf with its components and their sentences."""
    from endcap import shelf

    listed = {name: {component: shelf.words(name, component) for component in shelf.names(name)} for name in shelf.SHELVES}
    if as_json:
        print_json(listed)
        return
    for name, components in listed.items():
        typer.echo(f"{name} ({shelf.SHELVES[name]})")
        for component, words in components.items():
            typer.echo(f"  {component:<22} {words}")


def check(package: Annotated[str, typer.Argument(help="Only this shelf, or a plugin module given as SHELF:MODULE.")] = "", as_json: Json = False) -> None:
    """Run the shelves' shared checks.

    On built-in components and plugins alike; exit code 1 when one fails.
    """
    from endcap.checks import check_all

    results = check_all(package)
    failed = [result for result in results if result.fault]
    if as_json:
        print_json({"checked": len(results), "failed": [{"component": result.component, "check": result.check, "fault": result.fault} for result in failed]})
    else:
        for result in failed:
            typer.echo(f"{result.component}: {result.check}: {result.fault}")
        typer.echo(f"{len(results)} checks, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def doctor(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Say whether installation and catalog are in order.

    Exit code 1 when not.
    """
    from endcap.doctor import examine

    findings = examine(folder, home)
    if as_json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            typer.echo(f"{'ok   ' if finding['ok'] else 'FAULT'} {finding['what']}")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    for verb in (products, explain, metrics, triage, digest, serve, shelves, check, doctor):
        app.command(verb.__name__)(verb)
