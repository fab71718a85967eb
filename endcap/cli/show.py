"""How results look in the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from endcap.review.queue import ReviewItem, waiting

if TYPE_CHECKING:
    import duckdb

    from endcap.flow import RunResult
    from endcap.learn.truth import TruthFigures
    from endcap.metrics import Figure
    from endcap.ops.home import Home
    from endcap.publish.diff import Diff
    from endcap.publish.overlap import SharedProduct
    from endcap.sandbox import World

MIN_WIDTH = 112
FIRST_ITEMS = 3
FULL_BARS = 9


def console() -> Console:
    """Plain where it is not a terminal, and never narrower than the tables need."""
    found = Console(highlight=False, soft_wrap=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = max(found.width, MIN_WIDTH)
    return found


def demo_report(
    home: Home, con: duckdb.DuckDBPyConnection, results: list[RunResult], truth: TruthFigures, *, seconds: float
) -> dict[str, Any]:  # fmt: skip
    """What `endcap demo --json` prints; counts of records are over all deliveries, counts of offers of the catalog as it stands."""
    from endcap.metrics import measure

    deliveries = [delivery for result in results for delivery in result.deliveries]
    totals = {name: sum(delivery[name] for delivery in deliveries) for name in ("read", "accepted", "quarantined", "repeated")}
    last = results[-1]
    manifest = home.manifest()
    return {
        "delivered": totals["read"], "accepted": totals["accepted"], "quarantined": totals["quarantined"], "repeated": totals["repeated"],
        "held": [{name: delivery[name] for name in ("feed", "date", "reason")} for delivery in deliveries if delivery["state"] == "held"],
        **last.catalog, "precision": truth.precision, "recall": truth.recall, "truth": asdict(truth),
        "metrics": [figure.to_dict() for figure in measure(con)], "snapshot": last.snapshot_id, "content_hash": last.content_hash,
        "waiting": [asdict(item) for item in waiting(con, manifest.override_sequence, limit=FIRST_ITEMS)],
        "runs": [{"run": result.run, "snapshot": result.snapshot_id, "seconds": result.seconds, "deliveries": result.deliveries} for result in results],
        "seconds": seconds,
    }  # fmt: skip


def print_demo(world: World, report: dict[str, Any], folder: Path, out: Console | None = None) -> None:
    out = out or console()
    out.rule("endcap demo", style="dim")
    out.print(f"A made-up world of {len(world.suppliers)} suppliers and {len(world.dates)} delivery days (seed {world.seed}), run into one catalog.\n")
    for run in report["runs"]:
        read, accepted, quarantined = (sum(delivery[name] for delivery in run["deliveries"]) for name in ("read", "accepted", "quarantined"))
        day = f"{run['deliveries'][0]['date']}  {len(run['deliveries'])} deliveries"
        out.print(f"{day}  {read:>6,} read = {accepted:,} accepted + {quarantined} quarantined  ->  snapshot {run['snapshot']}")
    out.print()
    out.print(_suppliers([delivery for run in report["runs"] for delivery in run["deliveries"]]))
    out.print()
    everything = [delivery for run in report["runs"] for delivery in run["deliveries"]]
    _print_held(report["held"], out, later=everything)
    for run in report["runs"]:
        for delivery in run["deliveries"]:
            for warning in delivery["warnings"]:
                if "GTIN" not in warning:
                    out.print(f"NOTICED    {delivery['feed']} {delivery['date']}: {warning}\n")
    out.print(f"Records    {report['delivered']:,} delivered = {report['accepted']:,} accepted + {report['quarantined']:,} quarantined")
    out.print(
        f"Catalog    {report['products']:,} products from {report['offers']:,} offers: {report['new_products']:,} founded one, "
        f"{report['linked']:,} were linked, {report['to_review']:,} wait for a person"
    )
    truth = report["truth"]
    out.print(
        f"Truth      precision {truth['precision']:.3f}, recall {truth['recall']:.3f} of links "
        f"({truth['right_pairs']:,} of {truth['linked_pairs']:,} linked pairs are right; {truth['true_pairs']:,} true pairs)"
    )
    out.print()
    _print_figures(report["metrics"], out)
    out.print("What needs a person, costliest doubt first:")
    for item in report["waiting"]:
        _print_waiting(item, out)
    out.print(f"\nDone in {report['seconds']:.0f} s. Snapshot {report['snapshot']}.")
    out.print(f"Next:  endcap serve --dir {folder}      pages and API on loopback\n       endcap review --dir {folder}     answer the doubtful ones")
    out.print(f"       endcap explain OFFER --dir {folder}   why an offer is where it is")


def _suppliers(deliveries: list[dict[str, Any]]) -> Table:
    """All deliveries of each feed as one row, with its offers as of the last good one."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = ("deliveries", "read", "accepted", "quarantined", "repeated", "held", "offers now")
    table.add_column("supplier")
    for name in names:
        table.add_column(name, justify="right")
    for feed in sorted({delivery["feed"] for delivery in deliveries}):
        its = [delivery for delivery in deliveries if delivery["feed"] == feed]
        sums = [sum(delivery[name] for delivery in its) for name in ("read", "accepted", "quarantined", "repeated")]
        good = [delivery["offers"] for delivery in its if delivery["state"] == "accepted"]
        table.add_row(feed, *(f"{count:,}" for count in (len(its), *sums, len(its) - len(good), good[-1] if good else 0)))
    return table


def print_deliveries(deliveries: Iterable[dict[str, Any]], title: str, out: Console) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim", expand=False)
    table.add_column("feed")
    for name in ("read", "accepted", "quarantined", "repeated", "offers", "new", "changed", "vanished"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for delivery in deliveries:
        counts = [f"{delivery[name]:,}" for name in ("read", "accepted", "quarantined", "repeated", "offers", "new", "changed", "vanished")]
        table.add_row(delivery["feed"], *counts, delivery["state"].upper() if delivery["state"] == "held" else delivery["state"])
    out.print(table)
    for delivery in deliveries:
        for warning in delivery["warnings"]:
            out.print(f"  {delivery['feed']}: {warning}", style="yellow")
    out.print()


def _print_held(held: list[dict[str, Any]], out: Console, later: Iterable[dict[str, Any]] = ()) -> None:
    good = {delivery["feed"]: delivery["date"] for delivery in later if delivery["state"] == "accepted"}
    for delivery in held:
        since = f" (since then the delivery of {good[delivery['feed']]} came in)" if good.get(delivery["feed"], "") > delivery["date"] else ""
        out.print(f"HELD       {delivery['feed']} {delivery['date']}: {delivery['reason']}{since}", style="bold")
    if held:
        out.print("           The last good version of these feeds is served; everything else went on.\n")


def _print_figures(figures: list[dict[str, Any]], out: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("metric", "value", "what it says"):
        table.add_column(name, overflow="fold")
    for figure in figures:
        table.add_row(figure["label"], _value(figure), figure["words"].removeprefix(f"not enough data (n = {figure['n']:,}): "))
    out.print(table)
    out.print()


def _value(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"not enough data (n = {figure['n']:,})"
    scale, unit = (100, " %") if figure["unit"] == "share" else (1, f" {figure['unit']}")
    interval = f" ({scale * figure['low']:.1f} to {scale * figure['high']:.1f})" if figure["low"] is not None else ""
    return f"{scale * figure['value']:,.1f}{unit}{interval}, n = {figure['n']:,}"


def _print_waiting(item: dict[str, Any] | ReviewItem, out: Console) -> None:
    shown = asdict(item) if isinstance(item, ReviewItem) else item
    out.print(f"  {shown['offer_id']}  {shown['title']}")
    for candidate in shown["candidates"][:1]:
        out.print(f"      the same as {candidate['product_id']}  {candidate['title']}?  {shown['reason']}", style="dim")


def print_runs(results: list[RunResult]) -> None:
    out = console()
    for result in results:
        if not result.changed:
            out.print(f"nothing new: no delivery, answer or model since snapshot {result.snapshot_id or '(none yet)'}")
            for notice in result.notices:
                out.print(f"NOTICED    {notice}")
            continue
        if result.deliveries:
            print_deliveries(result.deliveries, f"{result.deliveries[0]['date']}  ->  snapshot {result.snapshot_id}", out)
        else:
            out.print(f"answers and models taken in  ->  snapshot {result.snapshot_id}")
        for notice in result.notices:
            out.print(f"NOTICED    {notice}")
        _print_held(result.held, out)
        totals = result.catalog
        out.print(
            f"Catalog    {totals['products']:,} products from {totals['offers']:,} offers: {totals['new_products']:,} founded one, "
            f"{totals['linked']:,} were linked, {totals['to_review']:,} wait for a person; {result.seconds:.1f} s"
        )
        for shared in result.overlap:
            out.print(f"Shared     {shared['products']:,} products by {' + '.join(shared['feeds'])}", style="dim")
        out.print()


def print_products(count: int, products: list[SharedProduct]) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("product", "title", "brand", "price", "sold by"):
        table.add_column(name, overflow="fold")
    for product in products:
        low, high = product.price_min, product.price_max
        price = "" if low is None else f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
        table.add_row(product.product_id, product.title, product.brand or "", f"{price} {product.currency or ''}".strip(), ", ".join(product.feeds))
    out.print(table)
    out.print(f"{count:,} products" + (f", the first {len(products)} shown" if count > len(products) else ""))


def print_plan(planned: dict[str, Any]) -> None:
    out = console()
    for delivery in planned["deliveries"]:
        out.print(f"{delivery['date']}  {delivery['feed']:<16} {delivery['mbytes']:>8.1f} MB")
    out.print(planned["words"])
    out.print(f"policy: {planned['decides']}")
    if planned["strays"] and not planned["deliveries"]:
        out.print(planned["strays"])


def print_snapshots(listed: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("snapshot", "run", "products", "made", "content hash", ""):
        table.add_column(name)
    for row in listed:
        products = f"{row['products']:,}" if row["products"] is not None else ""
        table.add_row(row["snapshot_id"], str(row["run"]), products, row["created_at"], row["content_hash"][:16], "current" if row["current"] else "")
    console().print(table if listed else "no snapshot yet; `endcap run` makes the first")


def print_diff(diff: Diff) -> None:
    out = console()
    out.print(diff.summary())
    for name, ids in diff.to_dict().items():
        if isinstance(ids, list) and ids:
            out.print(f"  {name}: {', '.join(str(one) for one in ids[:10])}{' ...' if len(ids) > 10 else ''}")


def print_metrics(figures: list[Figure]) -> None:
    _print_figures([figure.to_dict() for figure in figures], console())


def _waterfall(bars: list[dict[str, Any]]) -> Table:
    """The bars that count one by one and the others as one; together they are the log-odds of the shown likeness."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("feature", "value", "log-odds", "in words"):
        table.add_column(name, justify="right" if name in ("value", "log-odds") else "left")
    for bar in bars[:FULL_BARS]:
        value = "unknown" if bar["value"] is None else f"{bar['value']:.3f}"
        table.add_row(bar["name"], "" if bar["name"] == "prior" else value, f"{bar['contribution']:+.3f}", bar["words"])
    others = bars[FULL_BARS:]
    table.add_row(f"{len(others)} others", "", f"{sum(bar['contribution'] for bar in others):+.3f}", "all with --json")
    table.add_row("sum", "", f"{sum(bar['contribution'] for bar in bars):+.3f}", "")
    return table


def print_explanation(explanation: dict[str, Any]) -> None:
    """An offer's or a product's why, in words."""
    out = console()
    out.print(explanation["title"], style="bold")
    for line in explanation["lines"]:
        out.print(f"  {line}")
    for candidate in explanation.get("candidates", ()):
        out.print(f"\ncandidate {candidate['offer_id']}  {candidate['title']}  ({candidate['product_id'] or 'waiting'})  likeness {candidate['score']:.3f}")
        out.print(_waterfall(candidate["bars"]))
    if explanation["history"]:
        out.print("\nhistory")
        for event in explanation["history"]:
            out.print(f"  {'run ' + str(event['run']) if event['run'] else 'a person'}: {event['words']}")
