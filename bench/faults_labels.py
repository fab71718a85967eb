"""Faults of labels and of who gives them: noise, rogues, answers taken back, biased samples, leaks, miscalibration, and training again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from played import NotRun, Tally, Trial, World

from endcap import settings
from endcap.decide.promised import thresholds
from endcap.learn import train as training
from endcap.learn.evaluate.tables import SPLITS, judge_all, read_split, read_tables
from endcap.learn.labels import hold
from endcap.learn.splits import Groups, Ties, groups_of, refuse_leaks
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review import audit as audits
from endcap.review.override import answer
from endcap.review.queue import waiting
from endcap.settings import Matching, Policy, Promised

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import rogues  # noqa: E402  the simulations that the tests use too

from endcap.learn.calibration import read_off  # noqa: E402

SETS = ("abt-buy", "amazon-google", "wdc-computers-medium")
NOISE = (0.0, 0.05, 0.1, 0.2, 0.3)
NOISY_LABELS, AUDITED, SURE_PAIRS = 600, 400, 2000
WORSE = 0.005  # of clean truth, that a promoted model may lose


def noisy_labels(world: World, tally: Tally, wanted: int) -> None:
    """Champions without labels against challengers from noisy ones, let through by clean audits; judged on the clean test split."""
    folder = ROOT.parent / "shared" / "data" / "matching"
    if not folder.exists():
        raise NotRun("needs the real data in ../shared")
    promoted: list[float] = []
    cases = [(name, seed, noise) for name in SETS for seed in (7, 8, 9) for noise in NOISE][:wanted]
    for name in dict.fromkeys(case[0] for case in cases):
        tables = read_tables(folder / name)
        given = {split: read_split(folder / name, split, tables) for split in SPLITS}
        judged = judge_all(tables, Matching(), [pair for split in SPLITS for pair in given[split].pairs])
        places = {split: judged.places(tables.rows(given[split].pairs)) for split in SPLITS}
        for _name, seed, noise in (case for case in cases if case[0] == name):
            dice = np.random.default_rng([seed, int(1000 * noise)])
            chosen = np.sort(dice.permutation(places["train"].size)[:NOISY_LABELS])
            truth = given["train"].labels[chosen] == 1
            lessons = _lessons(judged, places["train"][chosen], truth != (dice.random(chosen.size) < noise))
            challenger = training.fit_challenger(lessons, judged.base, pa.table({"features": pa.array([], pa.list_(pa.float32()))}), seed).model
            audit = dice.permutation(places["valid"].size)[:AUDITED]
            better = _right(challenger, judged, places["valid"][audit], given["valid"].labels[audit])
            before = _right(judged.base, judged, places["valid"][audit], given["valid"].labels[audit])
            after = [_right(model, judged, places["test"], given["test"].labels) for model in (challenger, judged.base)]
            promoted += [after[0] - after[1]] * (better > before)
            tally.check(better <= before or after[0] >= after[1] - WORSE, f"{name} {noise:.0%}: {after[0]:.4f} after {after[1]:.4f}")
    words = f"the worst changes {100 * min(promoted):+.1f} points, the mean {100 * float(np.mean(promoted)):+.1f}" if promoted else "none"
    print(f"F1: {len(promoted)} of {len(cases)} let through; {words}")


def _right(model: Any, judged: Any, places: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean((model.score(judged.features[places]) >= 0.5) == (labels == 1)))


def _lessons(judged: Any, places: np.ndarray, said: np.ndarray) -> training.Lessons:
    left, right = (np.asarray(getattr(judged.pairs, side))[places] for side in ("left", "right"))
    names = [[f"{one}" for one in side.tolist()] for side in (left, right)]
    moments = [f"2026-01-01T{number:06d}" for number in range(places.size)]
    pairs = pa.table({"left_id": names[0], "right_id": names[1], "at": moments, "people": [True] * places.size})
    scores = judged.base.score(judged.features)
    sure = np.flatnonzero((scores < training.SURE) | (scores > 1 - training.SURE))[:: max(1, scores.size // SURE_PAIRS)]
    easy = pa.table({"features": [row.tolist() for row in judged.features[sure]], "same": scores[sure] > 0.5})
    groups = groups_of(*names, said.tolist(), Ties())
    return training.Lessons(pairs, judged.features[places], said, np.full(said.size, 0.9), Groups(groups.left, groups.right), Ties(), easy)


def rogue_reviewers(_world: World, tally: Tally, wanted: int) -> None:
    honest = flagged = 0
    for kind in rogues.ROGUES:
        for seed in range(max(1, wanted // len(rogues.ROGUES))):
            bad, good = rogues.watch(kind, seed)
            tally.check(all(one.flagged_after for one in bad), f"{kind} {seed} was not found")
            honest, flagged = honest + len(good), flagged + sum(one.flagged_after > 0 for one in good)
    print(f"F2: {flagged} of {honest} honest reviewers flagged falsely")
    tally.failed += flagged > 0.01 * honest


@contextmanager
def copied(world: World, count: int = 1) -> Iterator[list[Home]]:
    """Copies of the world's catalog, to be changed at will."""
    with tempfile.TemporaryDirectory() as folder:
        made = [Path(shutil.copytree(world.home.catalog.root, Path(folder) / str(number))) for number in range(count)]
        yield [Home(settings.read(one)) for one in made]


def taken_back(world: World, tally: Tally, wanted: int) -> None:
    """One person's labels held back, against a catalog in which they never answered."""
    policy = Policy(promise=Promised(precision=0.9, confidence=0.9))
    for case in range(wanted):
        with copied(world, 2) as (one, other):
            for home, both in ((one, True), (other, False)):
                _answered(home, case, both=both)
            hold(one, "ben", held=True, actor="bench", reason="a trial")
            told = []
            for home in (one, other):
                with home.writer():
                    model = training.train(home, seed=case).model_id
                with home.connect() as con:
                    told.append((model, thresholds(con, policy).promises))
            tally.check(told[0] == told[1], f"case {case}: {told[0][0]} is not {told[1][0]}")


def _answered(home: Home, case: int, *, both: bool) -> None:
    dice = np.random.default_rng(case)
    with home.connect() as con:
        items = [one for one in waiting(con, home.override_sequence()) if one.candidates and one.candidates[0].counterpart_offer_id]
        drawn = audits.draw(con, 60, seed=case)
    for item in items[case : case + 90]:
        person, same = ("ann", "ben")[int(dice.random() < 0.35)], bool(dice.random() < 0.5)
        if both or person == "ann":
            answer(home, item, "same" if same else "different", actor=person)
    for audit in drawn:
        person, right = ("ann", "ben")[int(dice.random() < 0.35)], bool(dice.random() < 0.95)
        if both or person == "ann":
            audits.answer_audit(home, audit, same=right, actor=person)


def biased_feedback(_world: World, tally: Tally, wanted: int) -> None:
    """The class holds where at most one interval in ten misses the truth; what the queue says is told beside."""
    missed, far = 0, []
    for seed in range(wanted):
        truth, estimate, queue = rogues.audited_world(seed)
        held = estimate is not None and estimate.low <= truth <= estimate.high
        missed, far = missed + (not held), [*far, abs(queue - truth)]
        tally.tried += 1
    tally.failed += missed > 0.1 * wanted
    print(f"F4: {wanted - missed} of {wanted} intervals hold the truth; the queue's own answers are off by {100 * float(np.mean(far)):.1f} points")


def leaks(_world: World, tally: Tally, wanted: int) -> None:
    refuse_leaks(rogues.table(*rogues.FAIR[0]), rogues.table(*rogues.FAIR[1]), rogues.TIES, timed=True)
    for name, train, valid, timed in rogues.LEAKS:
        try:
            refuse_leaks(rogues.table(*train), rogues.table(*valid), rogues.TIES, timed=timed)
        except BadInput:
            tally.check(True, "")
        else:
            tally.check(False, name)


def miscalibration(_world: World, tally: Tally, wanted: int) -> None:
    for number in range(wanted):
        off = {one.part: one.off for one in read_off(*rogues.planted(number, rogues.PLANTED[number % len(rogues.PLANTED)]))}
        tally.check(off["shoes"] and not off["lamps"] and not off["cups"], f"{number}: {off}")


def trained_again(world: World, tally: Tally, wanted: int) -> None:
    """Five trainings, each in a process of its own."""
    with copied(world) as (home,):
        _answered(home, 1, both=True)
        command = [str(Path(sys.executable).with_name("endcap")), "train", "--json", "--dir", str(home.catalog.root)]
        found = [subprocess.run(command, capture_output=True, text=True, check=False).stdout for _time in range(wanted)]
        with home.writer():
            model = training.train(home, seed=7).model_id
        for one in found:
            tally.check(f'"model_id": "{model}"' in one, f"not {model}: {one[:80]}")


CLASSES: dict[str, tuple[str, int, Trial]] = {
    "F1": ("challengers from labels with 0 to 30 % noise, against clean truth", 45, noisy_labels),
    "F2": ("rogue reviewers of six kinds, found by gold items", 120, rogue_reviewers),
    "F3": ("one person's labels taken back: model and promises as if never given", 10, taken_back),
    "F4": ("95 % intervals of audits against the truth", 100, biased_feedback),
    "F5": ("planted leaks between what teaches and what judges", 20, leaks),
    "F7": ("planted miscalibration of one category", 20, miscalibration),
    "F11": ("trainings again, each in a process of its own", 5, trained_again),
}  # fmt: skip
