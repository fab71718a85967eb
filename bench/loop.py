"""Play the feedback loop on data with known truth, write bench/LOOP.md and bench/loop.json, and draw the README's curve from them.

python bench/loop.py [--data ../shared/data] [--only TEXT] [--worlds 3]

Sandbox worlds are made in a temporary folder and run first. Plays not asked for stay as they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measuring import endcap

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
from curve import draw_all  # noqa: E402

FILE, FIGURES = Path(__file__).with_name("LOOP.md"), Path(__file__).with_name("loop.json")
PRICES = ("offers/pricerunner/offers.csv", "--hide", "cluster_label,category,category_id")
GROCERS = ("offers/gtin-multisource/offers.csv", "--hide", "gtin,gtin_valid,category,date")
HEAD = """# The feedback loop, round by round

Written by `python bench/loop.py`; what the figures mean stands in [docs/evaluate.md](../docs/evaluate.md#the-feedback-loop). Shares are percent of
all offers, or of what the machine did alone. Escapes and success are true ones, counted by the known truth; audited success is what the audits say, 50
a round. `same automation` compares the arms over as many of their surest decisions as the more careful of them makes alone. The data is not in the
repository; commands are run in it with the data folder at `DATA` and sandbox worlds at `WORLD`.
"""


def plays(worlds: int) -> dict[str, tuple[str, ...]]:
    """Name -> arguments of `endcap evaluate loop`; DATA and WORLD stand for folders."""
    found: dict[str, tuple[str, ...]] = {}
    for error in ("0", "0.05", "0.2"):
        found[f"Abt-Buy, {error} errors"] = ("DATA/matching/abt-buy-full", "--error", error)
        found[f"pricerunner, {error} errors"] = (f"DATA/{PRICES[0]}", *PRICES[1:], "--error", error)
        found[f"sandbox seed 7, {error} errors"] = ("WORLD7", "--rounds", "6", "--error", error)
    for seed in range(8, 7 + worlds):
        found[f"sandbox seed {seed}, 0 errors"] = (f"WORLD{seed}", "--rounds", "6", "--error", "0")
    found["gtin-multisource, 0 errors"] = (f"DATA/{GROCERS[0]}", *GROCERS[1:], "--error", "0")
    return found


def main() -> None:
    """Play what is asked for and write everything known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", default="")
    parser.add_argument("--worlds", type=int, default=3)
    given = parser.parse_args()
    known: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, arguments in plays(given.worlds).items():
            if given.only in name:
                print(name, flush=True)
                known[name] = play(arguments, given.data, Path(temporary))
                FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    FILE.write_text(HEAD + "".join(told(name, known[name]) for name in plays(given.worlds) if name in known), encoding="utf-8")
    draw_all(known)


def play(arguments: tuple[str, ...], data: str, temporary: Path) -> dict[str, Any]:
    """One command and what it printed, with when and at which commit."""
    path = arguments[0].replace("DATA", data)
    if path.startswith("WORLD"):
        folder = temporary / path
        if not folder.exists():
            for command in (("sandbox", str(folder), "--seed", path.removeprefix("WORLD")), ("run", "--dir", str(folder))):
                if endcap(*command).returncode not in (0, 3):  # a held delivery is part of every sandbox
                    raise SystemExit(f"failed: endcap {' '.join(command)}")
        path = str(folder)
    cost = endcap("evaluate", "loop", path, *arguments[1:], "--json")
    if cost.returncode:
        raise SystemExit(f"failed: endcap evaluate loop {' '.join(arguments)}")
    figures = json.loads(cost.stdout)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    words = [argument if " " not in argument else f'"{argument}"' for argument in arguments]
    return {
        "rounds": figures["rounds"], "offers": figures["offers"], "command": f"endcap evaluate loop {' '.join(words)}", "commit": commit, "cpu_s": cost.cpu_s,
        "peak_mb": figures["peak_mb"], "date": datetime.now(UTC).date().isoformat(), "precision": figures["precision"],
    }  # fmt: skip


def told(name: str, figures: dict[str, Any]) -> str:
    """The section of one play."""
    lines = [
        f"\n## {name}\n", f"`{figures['command']}`, {figures['offers']:,} offers, commit {figures['commit']}, {figures['date']}, {figures['cpu_s']} CPU s.\n",
        "| answers | arm | automation | escapes | at the same automation | at .5 / .7 / .9 | audited success (at least) | yield | to review | promised |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [_line(one, arm) for one in figures["rounds"] for arm in ("learn", "control")]
    return "\n".join(lines) + "\n"


def _line(one: dict[str, Any], arm: str) -> str:
    found, same = one[arm], one["same_automation"]
    audited, promise, rate = found["audited"], found["promise"], found["straight_through_yield"]
    levels = " / ".join(_percent(found["escapes_by_automation"].get(level)) for level in ("0.5", "0.7", "0.9"))
    success = f"{_percent(audited['success'])} ({_percent(audited['lower'])}), {audited['n']} audits"
    promised = f"{promise['missing']} answers missing"
    if promise["kept"] is not None:
        promised = f"{_percent(promise['automation'])}, {'kept' if promise['kept'] else 'broken'}"
    cells = (
        str(one["answers"]), arm, _percent(found["automation"]), _percent(found["escapes"]), f"{_percent(same[arm])} of {_percent(same['automation'])}",
        levels, success, _percent(rate["true"]), f"{found['to_review']:,}", promised,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
