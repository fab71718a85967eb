"""Simulated reviewers and planted faults of learning, for tests here and, in full count, for bench/faults_labels.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from endcap import schema
from endcap.learn.reliability import Rates, rates_of, too_many
from endcap.learn.splits import Ties
from endcap.shares import Estimate, weighted_share

ROGUES = ("random", "always yes", "always no", "one category", "speed clicker", "colluding pair")
GOLD_ITEMS = 134  # asked of each reviewer, those that one error in seven takes to be found
CATEGORIES = 5
Sayer = Callable[[np.random.Generator, bool, int], bool]


def _errs(rate: float) -> Sayer:
    return lambda dice, truth, _category: truth != (dice.random() < rate)


def sayers(kind: str, dice: np.random.Generator) -> list[Sayer]:
    """The rogues of a kind: one, or two who say the same."""
    if kind == "random":
        return [_errs(0.5)]
    if kind == "always yes":
        return [lambda *_asked: True]
    if kind == "always no":
        return [lambda *_asked: False]
    if kind == "one category":  # says the opposite of the truth there
        return [lambda dice, truth, category: (not truth) if category == 0 else truth != (dice.random() < 0.03)]
    if kind == "speed clicker":  # looks at one in three, says yes to the rest
        return [lambda dice, truth, _category: truth if dice.random() < 0.35 else bool(dice.random() < 0.8)]
    wrong = dice.random(4096) < 0.3
    count = [0, 0]

    def colludes(which: int) -> Sayer:
        def say(_dice: np.random.Generator, truth: bool, _category: int) -> bool:
            count[which] += 1
            return truth != bool(wrong[count[which] % wrong.size])

        return say

    return [colludes(0), colludes(1)]


@dataclass(frozen=True)
class Watched:
    """What is known of one simulated reviewer after their gold items: when they were flagged (0: never) and their estimated rates."""

    flagged_after: int
    rates: Rates


def watch(kind: str, seed: int, *, honest: int = 8) -> tuple[list[Watched], list[Watched]]:
    """(rogues, honest ones) of a team that answers gold items and, of one another, the same pairs twice."""
    dice = np.random.default_rng([seed, ROGUES.index(kind)])
    team = [*sayers(kind, dice), *(_errs(rate) for rate in dice.uniform(0.01, 0.05, honest))]
    bad = len(team) - honest
    votes, gold, flagged = [], [], [0] * len(team)
    for item in range(300):
        truth, category = bool(dice.random() < 0.5), int(dice.integers(CATEGORIES))
        both = dice.choice(len(team), 2, replace=False).tolist()
        votes += [((f"a{item}", f"b{item}"), f"{who:02d}", team[who](dice, truth, category)) for who in both]
    for who, say in enumerate(team):
        wrong = 0
        for number in range(GOLD_ITEMS):
            truth = number % 2 == 0
            said = say(dice, truth, int(dice.integers(CATEGORIES)))
            gold.append((f"{who:02d}", said, truth))
            wrong += said != truth
            if not flagged[who] and too_many(wrong, number + 1):
                flagged[who] = number + 1
    rates = rates_of(votes, {}, gold)
    found = [Watched(flagged[who], rates[f"{who:02d}"]) for who in range(len(team))]
    return found[:bad], found[bad:]


def audited_world(seed: int) -> tuple[float, Estimate | None, float]:
    """(the truth, what audits say of it, what the answers of the queue say) in a world of decisions whose success is known."""
    dice = np.random.default_rng(seed)
    sure = dice.beta(6, 1, 4000)
    head = dice.random(4000) < 0.3
    right = dice.random(4000) < np.clip(0.9 + 0.1 * sure - 0.03 * ~head, 0, 1)
    founded = dice.random(4000) < 0.4
    strata = [f"{int(10 * one)}|{top}|{new}" for one, top, new in zip(sure, head, founded, strict=True)]
    chance = np.where(founded, 0.05, 0.1)
    drawn = dice.random(4000) < chance
    judged = [(strata[row], float(chance[row]), bool(right[row])) for row in np.flatnonzero(drawn)]
    queue = np.argsort(sure)[:400]  # the most doubtful ones are what people look at
    return float(right.mean()), weighted_share(judged), float(right[queue].mean())


def label(left: str, right: str, *, same: bool = True, source: str = "override", at: str = "2026-01-01", run: int = 1, **more: object) -> dict[str, object]:
    row: dict[str, object] = {"left_id": left, "right_id": right, "same": same, "weight": 0.9, "source": source, "source_id": "1", "actor": "ann"}
    return row | {"at": at, "run": run, "gone": False} | more


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=schema.arrow_schema(schema.Label))


TIES = Ties(
    product_of={"a:1": "p1", "b:1": "p1", "c:1": "p1", "a:2": "p2", "b:2": "p2", "a:5": "p5"},
    text_of={"a:1": "mug red | acme", "b:1": "red mug | ", "a:2": "cup | ", "x:1": "mug red | acme", "y:1": "red mug | ", "z:1": "cup | "},
    undone=frozenset({"7"}), held=frozenset({"rex"}), offers=frozenset({f"{side}:{n}" for side in "abcxyz" for n in range(1, 6)}), run=3,
)  # fmt: skip
_TAUGHT, _JUDGED = label("a:1", "b:1"), label("a:2", "b:2", at="2026-02-01")
# Each plants one leak: (what it is, labels that teach, labels that judge, whether time counts).
LEAKS: tuple[tuple[str, list[dict[str, object]], list[dict[str, object]], bool], ...] = (
    ("a pair on both sides", [_TAUGHT], [_TAUGHT], False),
    ("a pair on both sides, turned round", [_TAUGHT], [label("b:1", "a:1")], False),
    ("a pair on both sides, said otherwise", [_TAUGHT], [label("a:1", "b:1", same=False)], False),
    ("an offer on both sides", [_TAUGHT], [label("a:1", "a:3")], False),
    ("an offer on both sides, at the right", [_TAUGHT], [label("a:3", "b:1")], False),
    ("an offer on both sides, of a refusal", [label("a:4", "b:4", same=False)], [label("b:4", "c:4", same=False)], False),
    ("a product on both sides", [_TAUGHT], [label("a:3", "c:1")], False),
    ("a product on both sides, by the left", [label("c:1", "c:5")], [label("a:1", "a:3")], False),
    ("a product on both sides, of refusals", [label("a:1", "a:4", same=False)], [label("b:1", "b:4", same=False)], False),
    ("a pair with the same two texts", [_TAUGHT], [label("x:1", "y:1")], False),
    ("a pair with the same two texts, turned round", [_TAUGHT], [label("y:1", "x:1")], False),
    ("one text on both sides", [label("a:2", "a:4")], [label("z:1", "c:3")], False),
    ("a label from the future", [label("a:1", "b:1", at="2026-03-01")], [_JUDGED], True),
    ("a label of the same moment", [label("a:1", "b:1", at="2026-02-01")], [_JUDGED], True),
    ("an audit that teaches", [label("a:1", "b:1", source="audit")], [_JUDGED], False),
    ("gold of a later snapshot", [label("a:1", "b:1", source="gold", source_id="abc@s0009-0123456789ab")], [_JUDGED], False),
    ("gold of another catalog's offers", [label("q:1", "q:2", source="gold")], [_JUDGED], False),
    ("a label of a later run", [label("a:1", "b:1", run=4)], [_JUDGED], False),
    ("an answer that was taken back", [label("a:1", "b:1", source_id="7")], [_JUDGED], False),
    ("an answer of somebody who is held back", [label("a:1", "b:1", actor="rex")], [_JUDGED], False),
    ("a label that has ended", [label("a:1", "b:1", gone=True)], [_JUDGED], False),
)  # fmt: skip
FAIR = ([_TAUGHT], [_JUDGED])


def planted(seed: int, kind: str, n: int = 2100) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(chances, what was right, category) of audits in three categories; `kind` says what is planted in the first, or in none."""
    dice = np.random.default_rng(seed)
    truth = dice.beta(3, 0.8, n)
    category = [("shoes", "lamps", "cups")[number % 3] for number in range(n)]
    first = np.array([name == "shoes" for name in category])
    odds = np.log(truth / (1 - truth))
    moved = {"none": odds, "too sure": odds * 2.2, "too shy": odds * 0.45, "too high": odds + 1.6, "too low": odds - 1.6}[kind]
    chance = 1 / (1 + np.exp(-np.where(first, moved, odds)))
    return np.clip(chance, 1e-4, 1 - 1e-4), dice.random(n) < truth, category


PLANTED = ("too sure", "too shy", "too high", "too low")
