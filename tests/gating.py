"""Bad champions that got through, and planted evidence, for the tests of the gate and for bench/faults_gate.py."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tried import audited, challenger, content, decisions_of, home_of, put, spoken_of

from endcap import flow, sandbox, settings
from endcap.learn.verdict import Evidence, Tally
from endcap.ops.home import Home
from endcap.serve.watching import Watching

DAYS = 3


def planted(dice: np.random.Generator, categories: int, per_category: int, lost: float) -> Evidence:
    """Better everywhere (1 % mended, .3 % broken), and in the first category so much worse."""
    slices = []
    for number in range(categories):
        broken = 0.003 if number or not lost else lost + 0.01
        _both, gone, won, neither = (int(count) for count in dice.multinomial(per_category, [0.97 - broken, broken, 0.01, 0.02]))
        slices.append(Tally("category", f"c{number:02}", per_category, per_category - gone - won - neither, gone, won))
    whole = Tally("all", "everything", 0, 0, 0, 0)
    for one in slices:
        whole = whole.plus(one)
    return Evidence(whole, whole, slices)


@dataclass(frozen=True)
class Decided:
    """A catalog that a bad artefact decides, and what it held before."""

    home: Home
    before: dict[str, tuple[int, str]]
    decisions: dict[tuple[str, str], tuple[object, ...]]
    changed: bool


def small_world(folder: Path, offers: int = 400) -> Path:
    """A world of suppliers with two days taken in."""
    sandbox.make(folder, offers=offers, days=2, seed=7)
    flow.run(settings.read(folder))
    return folder


def bad_champion(start: Path, folder: Path, *, canary: str = "", seed: int = 7) -> Decided:
    """A copy of a catalog in which a bad model was put in force and decided a run."""
    home = home_of(Path(shutil.copytree(start, folder)))
    before, decisions = content(home), decisions_of(home, set())
    model_id = challenger(home, wrong=0.9, seed=seed, times=4)
    put(home, model_id, "canary" if canary else "promote", scope=canary or None)
    flow.run(home.catalog)
    return Decided(home, before, decisions, decisions_of(home, set()) != decisions)


def undone_within(seconds: float, bad: Decided) -> str:
    """Let people audit, and the server look; empty where all is as it was before within so many seconds of the last audit, else what is not.

    What decides for a few offers only takes more than a day's audits to be found out.
    """
    home = bad.home
    if not bad.changed:
        return "the bad model changed nothing"
    for _day in range(DAYS):
        audited(home, 150)
        began = time.monotonic()
        if Watching(home).look():
            break
    else:
        return f"no breach was seen after {150 * DAYS} audits"
    took = time.monotonic() - began
    back, said = content(home), spoken_of(home)
    for name in ("pairs", "facts"):
        if back[name] != bad.before[name]:
            return f"{name} are not what they were"
    now = decisions_of(home, said)
    differing = [key for key, row in bad.decisions.items() if key[0] not in said and now.get(key) != row]
    if differing:
        return f"{len(differing)} decisions are not what they were: {differing[:3]}"
    if took > seconds:
        return f"it took {took:.0f} s"
    return "" if Watching(home).look() is False else "it flips to and fro"
