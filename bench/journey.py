"""What the journey costs: a first full load, a second delivery with 1 % changes, and a run with nothing to do.

    python bench/journey.py [--offers 100000] [--dir DIR]

Prints offers a second by stage, CPU seconds of everything and peak memory. Aims: 100,000 offers under 150 CPU seconds and 3 GB;
the second delivery at most 8 % of the first run's CPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from measuring import Cost, endcap

SEED = 11


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--offers", type=int, default=100_000)
    arguments.add_argument("--dir", type=Path)
    given = arguments.parse_args()
    folder = given.dir or Path(tempfile.mkdtemp(prefix="endcap-bench-"))
    world = folder / "world"
    try:
        made = endcap("sandbox", str(world), "--offers", str(given.offers), "--days", "2", "--seed", str(SEED), "--change-share", "0.01")
        report("sandbox", made, given.offers)
        dates = sorted(path.name for path in (world / "inbox").iterdir())
        first = endcap("run", "--dir", str(world), "--date", dates[0], "--json")
        report("first full load", first, given.offers)
        by_stage(first, given.offers)
        second = endcap("run", "--dir", str(world), "--date", dates[1], "--json")
        report("second delivery, 1 % changed", second, given.offers)
        by_stage(second, given.offers)
        print(f"second / first run: {100 * second.cpu_s / first.cpu_s:.1f} % of the CPU seconds (aim: at most 8 %)")
        report("nothing new", endcap("run", "--dir", str(world), "--json"), given.offers)
    finally:
        if given.dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def report(name: str, cost: Cost, offers: int) -> None:
    if cost.returncode:
        raise SystemExit(f"{name} ended with exit code {cost.returncode}")
    print(f"{name:<30} {cost.cpu_s:8.1f} CPU s  {cost.wall_s:7.1f} s  {cost.peak_mb:8.0f} MB peak  {offers / max(cost.wall_s, 0.01):10,.0f} offers/s")


def by_stage(cost: Cost, offers: int) -> None:
    for run in json.loads(cost.stdout)["runs"]:
        for stage in run["stages"]:
            speed = offers / max(stage["seconds"], 0.001)
            print(f"  {stage['stage']:<28} {stage['cpu_s']:8.1f} CPU s (without workers)  {stage['seconds']:7.1f} s  {speed:10,.0f} offers/s  {stage['rows']}")


if __name__ == "__main__":
    main()
