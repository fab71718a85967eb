"""Measure every row of the leaderboard with `endcap evaluate` and write bench/LEADERBOARD.md; rows not asked for stay as they are.

python bench/leaderboard.py [--data ../shared/data] [--only TEXT]

A row's figure is the mean over the seeds; CPU seconds and peak memory are those of one process, the mean and the highest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, reduce
from pathlib import Path
from typing import Any

from measuring import endcap

FILE = Path(__file__).with_name("LEADERBOARD.md")
SEEDS = (7, 8, 9)
HEAD = """# Leaderboard

Matching quality on public data, written by `python bench/leaderboard.py`. Figures are percent; the mean of seeds 7, 8 and 9 where a seed
matters, with the lowest and the highest; thresholds come from valid or are fixed, never from test. The data is not in the repository.
Commands are run in the repository with the data folder at `DATA`.
Where one ends in `--seed 7`, 8 and 9 were run as well. Published and measured figures of others stand at the end.

| what | data | goal | figure | lowest to highest | command | commit | CPU s | peak MB | date |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
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
    """One line: which figure of which command, with `/` into what it holds; `seeds` is False where nothing is random."""

    what: str
    data: str
    goal: str
    figure: str
    arguments: tuple[str, ...]
    seeds: bool = True


def _matching(what: str, figure: str, verb: str, goals: dict[str, str], *options: str, seeds: bool = True) -> list[Row]:
    return [Row(what, data, goal, figure, (verb, f"matching/{data}", *options), seeds) for data, goal in goals.items()]


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


def _line(row: Row, data: Path) -> str:
    runs = [_evaluate(row.arguments, row.seeds, data, seed) for seed in (SEEDS if row.seeds else SEEDS[:1])]
    figures = [100 * reduce(lambda found, name: found[name], row.figure.split("/"), run) for run in runs]
    command = f"`endcap evaluate {row.arguments[0]} DATA/{row.arguments[1]} {' '.join(row.arguments[2:])}{' --seed 7' if row.seeds else ''}`"
    cells = (
        row.what, row.data, row.goal, f"**{statistics.mean(figures):.1f}**", f"{min(figures):.1f} to {max(figures):.1f}" if row.seeds else "", command,
        _commit(), f"{statistics.mean(run['cpu_s'] for run in runs):.1f}", f"{max(run['peak_mb'] for run in runs):.0f}", f"{datetime.now(UTC):%Y-%m-%d}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


@cache
def _evaluate(arguments: tuple[str, ...], seeds: bool, data: Path, seed: int) -> dict[str, Any]:
    """The figures of one command; several rows may show figures of the same."""
    verb, place, *options = arguments
    seeded = ["--seed", str(seed)] if seeds else []
    cost = endcap("evaluate", verb, str(data / place), *options, *seeded, "--json")
    if cost.returncode:
        raise SystemExit(f"endcap evaluate {verb} {place} {' '.join(options)} failed")
    found = json.loads(cost.stdout)
    if "broken" in found:
        found["broken_share"] = found["broken"] / found["splits"]
    return {**found, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_mb}


def _commit() -> str:
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def _known_lines() -> dict[tuple[str, str], str]:
    """The file's rows by what they measure and on which data."""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| what", "| ---"))]
    return {(cells[0], cells[1]): line for line in rows for cells in [[cell.strip() for cell in line.strip("|").split("|")]]}


def _write(lines: dict[tuple[str, str], str]) -> None:
    """All rows in the order of ROWS; a row that is measured no more is dropped."""
    ordered = [lines[row.what, row.data] for row in ROWS if (row.what, row.data) in lines]
    FILE.write_text(HEAD + "\n".join(ordered) + "\n" + PEERS, encoding="utf-8")


if __name__ == "__main__":
    main()
