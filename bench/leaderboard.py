"""Measure every row of the leaderboard and write bench/LEADERBOARD.md; rows not asked for stay as they are.

python bench/leaderboard.py [--data ../shared/data] [--only TEXT]

A row's figure is the mean over the seeds; CPU seconds and peak memory are those of its whole command, all seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, reduce
from pathlib import Path
from typing import Any

from measuring import Cost, endcap, measure_command

FILE = Path(__file__).with_name("LEADERBOARD.md")
SEEDS = "7,8,9"
HEAD = """# Leaderboard

Matching quality on public data, written by `python bench/leaderboard.py`. Figures are percent; the mean of seeds 7, 8 and 9 where a seed
matters, with the lowest and the highest; thresholds come from valid or are fixed, never from test. The data is not in the repository.
Commands are run in the repository with the data folder at `DATA`; CPU seconds are those of the whole command, all its seeds.
Speed stands below, then published and measured figures of others.

| what | data | goal | figure | lowest to highest | command | commit | CPU s | peak MB | date |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
SPEED_HEAD = """
## Speed

One process on two cores of a shared machine, worlds of near-identical siblings from one seed; goals are at most, unless they say otherwise.

| what | world | goal | figure | command | commit | CPU s | peak MB | date |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
PEERS = """
## Others, on the same data

Test F1 of given pairs, all labels, Abt-Buy / Amazon-Google / wdc-computers-medium: Ditto 89.3 / 75.7 / about 88.6, R-SupCon 94.3 / 79.3 and
GPT-4o zero-shot 94.5 / 78.1, all as published; a random forest on 18 rapidfuzz features 85.9 / 70.0 / 75.9, dedupe 3 78.0 / 58.4 and
Splink 5 71.2 / 40.7 as measured for this project.

Two raw tables to matched pairs, Abt-Buy / Amazon-Google: character TF-IDF, one to one, 84.1 / 66.9 without labels and 92.4 / 67.3 with its
cut tuned; Splink 5 83.9 / 59.4; pyJedAI's best preset 89.3 on the first.
"""


@dataclass(frozen=True)
class Row:
    """One line: which figure of which command, with `/` into what it holds, times `scale`; `seeds` is False where nothing is random."""

    what: str
    data: str
    goal: str
    figure: str
    arguments: tuple[str, ...]
    seeds: bool = True
    scale: float = 100.0


@dataclass(frozen=True)
class Speed:
    """One line of the second table: what `of` makes of the figures that some commands end with."""

    what: str
    world: str
    goal: str
    commands: tuple[str, ...]
    of: Callable[..., float]
    shown: str = "{:.1f}"


def _matching(what: str, figure: str, verb: str, goals: dict[str, str], *options: str, seeds: bool = True, scale: float = 100.0) -> list[Row]:
    return [Row(what, data, goal, figure, (verb, f"matching/{data}", *options), seeds, scale) for data, goal in goals.items()]


ROWS: list[Row] = [
    *_matching(
        "pairs, all labels", "f1", "match", {"abt-buy": "95.5", "amazon-google": "80.5", "wdc-computers-medium": "86.5", "wdcproducts-medium": "76"},
        "--labels", "all",
    ),
    *_matching(
        "pairs, all labels and an encoder (`endcap[neural]`)", "f1", "match", {"wdc-computers-medium": "88", "wdcproducts-medium": "80"},
        "--labels", "all", "--encoder",
    ),
    *_matching("pairs, 100 chosen labels", "f1", "match", {"abt-buy": "94.5", "amazon-google": "71"}, "--labels", "100"),
    *_matching("pairs, no label", "f1", "match", {"abt-buy": "91", "amazon-google": "69"}, "--labels", "none"),
    *_matching("link, no label", "f1", "link", {"abt-buy-full": "92", "amazon-google-full": "68"}, "--labels", "none"),
    *_matching("link, all labels", "f1", "link", {"abt-buy-full": "95", "amazon-google-full": "75"}, "--labels", "all"),
    *_matching("candidates @10 from the left", "recall", "block", {"abt-buy-full": "99", "amazon-google-full": "98"}, "--k", "10", seeds=False),
    *_matching(
        "candidates @5 both ways", "recall", "block", {"abt-buy-full": "99.3", "amazon-google-full": "99.5"}, "--k", "5", "--direction", "both", seeds=False,
    ),
    *_matching("promise .97 at .9: broken of 20 splits, %", "broken_share", "promise", {"abt-buy": "10 at most", "amazon-google": "10 at most"}),
    *_matching("promise .97 at .9: coverage of true matches", "coverage", "promise", {"abt-buy": "90", "amazon-google": "abstains"}),
    *_matching("promise .97 at .9: abstained of 20 splits", "abstained", "promise", {"abt-buy": "", "amazon-google": "abstains"}, scale=1),
    *_matching("promise .97 at .9: right answers missing then", "missing", "promise", {"abt-buy": "", "amazon-google": "said"}, scale=1),
    *(
        Row(f"many sources, {labels} labels: {name}", data, goal, figure, ("cluster", f"offers/{data}/offers.csv", *hidden, "--labels", labels), False)
        for data, hidden in (
            ("pricerunner", ("--hide", "cluster_label,category,category_id")),
            ("gtin-multisource", ("--source", "source", "--hide", "gtin,gtin_valid,date")),
        )
        for labels in ("none", "500")
        for name, figure, goal in (
            ("pairwise F1", "pairwise_f1", ""), ("B-cubed F1", "b_cubed_f1", ""), ("late offers that found a product", "new_found", ""),
            *(
                (f"links {one} to {other}, F1", f"links/{one} - {other}/f1", "") for one, other in (("dm", "dmDe"), ("dm", "reweDe"), ("dmDe", "reweDe"))
                if data == "gtin-multisource"
            ),
        )
    ),
]  # fmt: skip

MILLION = "bench/candidates.py --offers 1000000 --end-to-end --json"
SMALL = "bench/candidates.py --offers 100000 --end-to-end --json"
PAIRS = "bench/features.py --json"
SPEED: list[Speed] = [
    Speed("queries a CPU second, k = 10", "1M products", "5,000 at least", (MILLION,), lambda of: of["queries_a_cpu_s"], "{:,.0f}"),
    Speed("recall@10 of the resolvable", "1M products", ".97 at least", (MILLION,), lambda of: of["recall_at_10"], "{:.4f}"),
    Speed("one search, p99, ms", "1M products", "2", (MILLION,), lambda of: of["query_p99_ms"], "{:.2f}"),
    Speed("10,000 products added, CPU s", "1M products", "1", (MILLION,), lambda of: of["added_cpu_s"], "{:.2f}"),
    Speed("index build, CPU s", "1M products", "45", (MILLION,), lambda of: of["index_cpu_s"]),
    Speed("index on disk, MB", "1M products", "400", (MILLION,), lambda of: of["index_mb"], "{:.0f}"),
    Speed("columnar features, pairs a CPU second", "20k offers", "1,000,000 at least", (PAIRS,), lambda of: of["columnar_pairs_a_cpu_s"], "{:,.0f}"),
    Speed("all features and the score without labels, ms a pair", "20k offers", "0.02", (PAIRS,), lambda of: of["features_and_score_ms"], "{:.4f}"),
    Speed("all features and a learned score, ms a pair", "20k offers", "0.02", (PAIRS,), lambda of: of["features_and_learned_score_ms"], "{:.4f}"),
    Speed("learning from 6,000 labels, CPU s", "20k offers", "5", (PAIRS,), lambda of: of["learning_cpu_s"], "{:.2f}"),
    Speed("end to end, CPU s", "100k against 100k", "60", (SMALL,), lambda of: of["all_cpu_s"]),
    Speed("end to end, CPU s", "1M against 1M", "1,200", (MILLION,), lambda of: of["all_cpu_s"]),
    Speed("end to end, s on the clock", "1M against 1M", "720", (MILLION,), lambda of: of["all_wall_s"]),
    Speed("end to end, peak MB", "1M against 1M", "8,000", (MILLION,), lambda of: of["all_peak_mb"], "{:,.0f}"),
    Speed("top-1 right of the resolvable", "1M against 1M", ".93 at least", (MILLION,), lambda of: of["top_1"], "{:.4f}"),
    Speed("10,000 changed offers, CPU s", "1M against 1M", "30", (MILLION,), lambda of: of["changed_cpu_s"]),
    Speed("cost from 100k to 1M, times", "both", "13", (MILLION, SMALL), lambda large, small: large["all_cpu_s"] / small["all_cpu_s"]),
    Speed("one offer found and scored, p50, ms", "1M against 1M", "5", (MILLION,), lambda of: of["one_p50_ms"]),
    Speed("one offer found and scored, p99, ms", "1M against 1M", "15", (MILLION,), lambda of: of["one_p99_ms"]),
]


def main() -> None:
    """Measure the asked rows and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the measuring data")
    parser.add_argument("--only", default="", help="measure only rows whose first two columns hold this text")
    given = parser.parse_args()
    lines = _known_lines()
    for row in ROWS:
        if given.only in f"{row.what} {row.data}":
            lines[row.what, row.data] = _line(row, given.data)
            print(lines[row.what, row.data], flush=True)
            _write(lines)
    for speed in SPEED:
        if given.only in f"speed: {speed.what} {speed.world}":
            lines[speed.what, speed.world] = _speed_line(speed)
            print(lines[speed.what, speed.world], flush=True)
            _write(lines)


def _line(row: Row, data: Path) -> str:
    runs, cost = _evaluate(row.arguments, row.seeds, data)
    figures = [row.scale * reduce(lambda found, name: found[name], row.figure.split("/"), run) for run in runs]
    words = ["endcap evaluate", row.arguments[0], f"DATA/{row.arguments[1]}", *row.arguments[2:], *(["--seed", SEEDS] if row.seeds else [])]
    cells = (
        row.what, row.data, row.goal, f"**{statistics.mean(figures):.1f}**", f"{min(figures):.1f} to {max(figures):.1f}" if row.seeds else "",
        f"`{' '.join(words)}`", *_made(cost),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _speed_line(speed: Speed) -> str:
    found = [_bench(command) for command in speed.commands]
    figure = speed.of(*(figures for figures, _cost in found))
    commands = " and ".join(f"`python {command}`" for command in speed.commands)
    return f"| {' | '.join((speed.what, speed.world, speed.goal, f'**{speed.shown.format(figure)}**', commands, *_made(found[0][1])))} |"


def _made(cost: Cost) -> tuple[str, ...]:
    """Commit, CPU seconds, peak memory and day of a row."""
    return _commit(), f"{cost.cpu_s:.1f}", f"{cost.peak_mb:.0f}", f"{datetime.now(UTC):%Y-%m-%d}"


@cache
def _evaluate(arguments: tuple[str, ...], seeds: bool, data: Path) -> tuple[list[dict[str, Any]], Cost]:
    """The figures of one command, seed by seed, and its cost; several rows may show figures of the same."""
    verb, place, *options = arguments
    cost = endcap("evaluate", verb, str(data / place), *options, *(["--seed", SEEDS] if seeds else []), "--json")
    if cost.returncode:
        raise SystemExit(f"endcap evaluate {verb} {place} {' '.join(options)} failed")
    found = json.loads(cost.stdout)
    runs = found["each"] if seeds else [found]
    return [{**run, "broken_share": run["broken"] / run["splits"]} if "broken" in run else run for run in runs], cost


@cache
def _bench(command: str) -> tuple[dict[str, float], Cost]:
    """The figures that a benchmark ends with, and its cost."""
    cost = measure_command(sys.executable, *command.split())
    if cost.returncode:
        raise SystemExit(f"python {command} failed")
    return json.loads(cost.stdout.splitlines()[-1]), cost


def _commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def _known_lines() -> dict[tuple[str, str], str]:
    """The file's rows by what they measure and on which data."""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| what", "| ---"))]
    return {(cells[0], cells[1]): line for line in rows for cells in [[cell.strip() for cell in line.strip("|").split("|")]]}


def _write(lines: dict[tuple[str, str], str]) -> None:
    """All rows in the order of ROWS and of SPEED; a row that is measured no more is dropped."""
    ordered = [lines[row.what, row.data] for row in ROWS if (row.what, row.data) in lines]
    speed = [lines[row.what, row.world] for row in SPEED if (row.what, row.world) in lines]
    FILE.write_text(HEAD + "\n".join(ordered) + "\n" + SPEED_HEAD + "\n".join(speed) + "\n" + PEERS, encoding="utf-8")


if __name__ == "__main__":
    main()
