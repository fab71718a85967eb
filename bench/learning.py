"""What a round of learning costs: retrain, validate and promote, then the run under the new champion, and how many rows it writes.

    python bench/learning.py [--offers 100000] [--answers 400] [--dir DIR]

Answers and audits are given by the world's truth. Aim: retrain + validate + promote on 100,000 offers under 120 CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from tried import audited, home_of, put, truth_of

from endcap import flow, sandbox
from endcap.learn.train import train
from endcap.learn.validate import validate
from endcap.ops.home import Home
from endcap.review.override import answer
from endcap.review.queue import waiting

SEED = 11


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--offers", type=int, default=100_000)
    arguments.add_argument("--answers", type=int, default=400)
    arguments.add_argument("--dir", type=Path, help="A world that is there already; it is changed.")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="endcap-bench-") as scratch:
        folder = given.dir or Path(scratch) / "world"
        if given.dir is None:
            sandbox.make(folder, offers=given.offers, days=1, seed=SEED, incidents=False)
        home = home_of(folder)
        if given.dir is None:
            spent("first run", lambda: flow.run(home.catalog))
        answered = answer_by_truth(home, given.answers)
        audits = audited(home, given.answers)
        spent(f"run that takes in {answered} answers and {audits} audits", lambda: flow.run(home.catalog))
        learn(home)


def learn(home: Home) -> None:
    def retrain() -> Any:
        with home.writer():
            return train(home, seed=SEED)

    found, first = spent("retrain", retrain)
    judged, second = spent("validate", lambda: validate(home, "match", found.model_id, seed=SEED))
    print(f"  {judged.words}")
    _nothing, third = spent("promote", lambda: put(home, found.model_id, "promote"))
    print(f"retrain + validate + promote: {first + second + third:.1f} CPU s (aim: under 120)")
    results, _cpu = spent("the run under the new champion", lambda: flow.run(home.catalog))
    for stage in results[0].stages:
        print(f"  {stage['stage']:<16} {stage['cpu_s']:8.1f} CPU s  {stage['rows']}")


def spent(name: str, work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gave, and the CPU seconds of it and its children."""
    before = os.times()
    found = work()
    after = os.times()
    cpu_s = sum(after[:4]) - sum(before[:4])
    print(f"{name:<60} {cpu_s:8.1f} CPU s  {after.elapsed - before.elapsed:8.1f} s", flush=True)
    return found, cpu_s


def answer_by_truth(home: Home, count: int) -> int:
    truth = truth_of(home)
    with home.connect() as con:
        items = [item for item in waiting(con, 0) if item.candidates and item.candidates[0].counterpart_offer_id]
    known = [item for item in items if {item.offer_id, str(item.candidates[0].counterpart_offer_id)} <= truth.keys()][:count]
    for item in known:
        answer(home, item, "same" if truth[item.offer_id] == truth[str(item.candidates[0].counterpart_offer_id)] else "different", actor="bench")
    return len(known)


if __name__ == "__main__":
    main()
