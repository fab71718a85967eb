"""The feedback loop with a simulated reviewer: round after round the machine decides, is audited, asks, and learns or does not.

Both arms ask the same number of questions, chosen in the same way by what each believes of its own decisions, and in both the answers bind.
Only the learning arm trains: a pair scorer (taken only where a person finds more decisions mended than broken by it), and how sure a decision is
(`learn.sureness`), by which it chooses what it does alone. It keeps to the automation that the catalog's own policy began with, so that learning
shows as fewer escapes. Audits are drawn at random from the decisions made alone, with a known chance; they teach nothing and correct nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap.decide.promise import Promise, lower_bound, solve
from endcap.learn import sureness
from endcap.learn.evaluate.figures import cost
from endcap.learn.evaluate.memory import MemoryCatalog
from endcap.learn.evaluate.reviewer import Answer, Reviewer
from endcap.learn.evaluate.truths import Truth, judge
from endcap.learn.evaluate.worlds import World, read_world
from endcap.learn.sureness import Evidence
from endcap.match import Model, fit_labelled, match_offers, rescore
from endcap.problems import BadInput

ARMS = ("learn", "control")
# Of the answers of a round: audits; of the rest: asked a second time, asked at random so that what is learned holds for all decisions, and kept for
# decisions that a challenger would change.
AUDITED, AGAIN, AT_RANDOM, DISPUTED = 0.5, 0.1, 0.2, 0.6
# What a reviewer is believed to get wrong before any question was asked twice, and how many answers that belief weighs.
USUAL_ERROR, BELIEF = 0.05, 10.0
# Fewer answers of either kind teach the pair scorer nothing; sure pairs stand beside them as `endcap train` has it.
LEAST_PAIRS, LEAST_EACH, SURE, SURE_WEIGHT, SURE_PER_LABEL = 20, 3, 0.02, 0.25, 20
# Standard errors by which a challenger must gain.
BEYOND_CHANCE = 1.28
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass
class Arm:
    """One catalog with its reviewer, its answers and what it has learned from them. Rows are offers in the order of their ids."""

    name: str
    world: World
    reviewer: Reviewer
    memory: MemoryCatalog
    model: Model
    pairs: pa.Table
    random: np.random.Generator
    decisions: pa.Table
    truth: Truth
    evidence: Evidence
    chance: np.ndarray  # how likely each decision is right, as this arm believes
    kept: int  # decisions done alone
    overrides: list[dict[str, Any]] = field(default_factory=list)
    lessons: list[tuple[Evidence, bool]] = field(default_factory=list)
    said_twice: list[bool] = field(default_factory=list)  # whether the second answer agreed
    questions: list[tuple[dict[str, Any], bool]] = field(default_factory=list)  # decisions asked about, and whether they were said to be right
    labels: dict[tuple[str, str], bool] = field(default_factory=dict)
    audits: dict[int, tuple[tuple[str, str | None], bool]] = field(default_factory=dict)  # row -> (decision judged, said right)
    asked: set[int] = field(default_factory=set)

    @property
    def learns(self) -> bool:
        return self.name == "learn"

    def alone(self, count: int | None = None) -> np.ndarray:
        """Rows of the surest decisions that the machine makes alone, surest first."""
        by_machine = np.asarray(pc.equal(self.decisions["decided_by"], "machine").to_numpy(zero_copy_only=False), dtype=bool)
        rows = np.flatnonzero(by_machine & self.evidence.decided & _settled(self.decisions))
        order = np.lexsort((rows, -self.chance[rows]))
        return rows[order][: self.kept if count is None else count]


def evaluate_loop(
    path: Path, *, rounds: int = 3, answers: int = 100, error: float = 0.0, arms: Sequence[str] = ARMS, precision: float = 0.98, confidence: float = 0.9,
    truth: str = "cluster_id", source: str = "", hide: Sequence[str] = (), seed: int = 7,
) -> dict[str, Any]:  # fmt: skip
    """Play `rounds` of `answers` each in every arm, by a reviewer who errs with chance `error`.

    {dataset, shape, offers, true_products, error, answers_a_round, precision, confidence, rounds: [{round, answers, <arm>: figures,
    same_automation}], cpu_s, peak_mb}; the figures are explained in docs/evaluate.md. Raises BadInput on a path of another shape or options that make no sense.
    """
    _check(rounds, answers, error, arms, precision, confidence)
    clock = time.process_time()
    world = read_world(path, truth=truth, source=source, hide=hide, seed=seed)
    ids = world.offers["offer_id"].combine_chunks()
    matched = match_offers(world.offers, ids, matching=world.catalog.matching, model=None, run=1)
    played = [_begin(name, world, matched.pairs, matched.model, Reviewer(world.truth, error, seed), seed) for name in arms]
    found = [_round(0, 0, played, precision, confidence)]
    for number in range(1, rounds + 1):
        for arm in played:
            opened, kept = _ask(arm, answers)
            _answered(arm, opened, kept, seed)
        found.append(_round(number, number * answers, played, precision, confidence))
    return {
        "dataset": world.name, "shape": world.shape, "offers": world.offers.num_rows, "true_products": len(set(world.truth.values())), "error": error,
        "answers_a_round": answers, "precision": precision, "confidence": confidence, "seed": seed, "rounds": found, **cost(clock),
    }  # fmt: skip


def _check(rounds: int, answers: int, error: float, arms: Sequence[str], precision: float, confidence: float) -> None:
    wrong = [name for name in arms if name not in ARMS]
    if wrong or not arms:
        raise BadInput(f"there is no arm {', '.join(wrong) or 'at all'}", where="--arms", todo=f"give {' or '.join(ARMS)}, or both with a comma between them")
    if rounds < 1 or answers < 1:
        raise BadInput("a loop needs at least one round of one answer", where="--rounds, --answers", todo="give for example 3 and 100")
    for name, value, most in (("--error", error, 0.5), ("--precision", precision, 1.0), ("--confidence", confidence, 1.0)):
        if not (0 <= value < most and (name == "--error" or value > 0)):
            raise BadInput(f"{value:g} is not a share below {most:g}", where=name, todo="give for example 0.05 of errors, 0.98 and 0.9")


def _begin(name: str, world: World, pairs: pa.Table, model: Model, reviewer: Reviewer, seed: int) -> Arm:
    memory = MemoryCatalog(world.catalog, world.facts)
    decisions = memory.decide(world.offers, pairs, world.offers["offer_id"].combine_chunks(), model.model_id)
    evidence = sureness.gather(world.offers, pairs, decisions)
    arm = Arm(
        name, world, reviewer, memory, model, pairs, np.random.default_rng((seed, 5)), decisions, judge(decisions, world.truth), evidence,
        evidence.believed, 0,
    )  # fmt: skip
    arm.kept = arm.alone(evidence.kinds.shape[0]).size
    return arm


def _settled(decisions: pa.Table) -> np.ndarray:
    return np.asarray(pc.not_equal(decisions["action"], "to_review").to_numpy(zero_copy_only=False), dtype=bool)


# --- asking ---------------------------------------------------------------------------------------------------------


def _ask(arm: Arm, count: int) -> tuple[set[str], int]:
    """Audit, ask again, ask at random and ask what is doubtful; (offers that an answer binds, answers kept for what a challenger would change)."""
    audits = round(AUDITED * count)
    again = min(round(AGAIN * (count - audits)), len(arm.questions))
    fresh = count - audits - again
    kept = round(DISPUTED * fresh) if arm.learns else 0
    for row in _drawn(arm, arm.alone(), audits):
        arm.audits[row] = (_judged(arm, row), arm.reviewer.says(bool(arm.truth.right[row])))
    for place in arm.random.permutation(len(arm.questions))[:again].tolist():
        decision, right = arm.questions[place]
        said_first = decision["said"]
        arm.said_twice.append(arm.reviewer.says(right) == said_first)
    return _ask_to_teach(arm, round(AT_RANDOM * fresh), fresh - kept), kept


def _ask_to_teach(arm: Arm, at_random: int, count: int) -> set[str]:
    opened: set[str] = set()
    random, doubtful = _to_teach(arm, at_random, count)
    for row in (*random, *doubtful):
        opened |= _learn_of(arm, row, sample=row in random)
    return opened


def _judged(arm: Arm, row: int) -> tuple[str, str | None]:
    return arm.decisions["action"][row].as_py(), arm.decisions["product_id"][row].as_py()


def _drawn(arm: Arm, rows: np.ndarray, count: int) -> list[int]:
    """A simple random sample of rows that were neither asked about nor audited."""
    free = np.setdiff1d(rows, np.array(sorted(arm.asked | arm.audits.keys()), dtype=np.int64))
    return sorted(arm.random.permutation(free)[:count].tolist())


def _to_teach(arm: Arm, at_random: int, count: int) -> tuple[list[int], list[int]]:
    """`count` rows to ask about: some drawn at random from all decisions, the others where the arm knows least whether the decision is right.

    Only the random ones teach how sure decisions are: a sample of doubtful ones would say that all are doubtful.
    """
    every = arm.alone(arm.chance.size)
    random = _drawn(arm, every, min(at_random, count))
    free = np.setdiff1d(every, np.array(sorted(arm.asked | arm.audits.keys() | set(random)), dtype=np.int64))
    order = np.lexsort((free, np.abs(arm.chance[free] - 0.5)))
    return random, free[order][: count - len(random)].tolist()


def _learn_of(arm: Arm, row: int, *, sample: bool) -> set[str]:
    """Ask about one decision, of a random sample or not; gives the offers whose place is to be decided anew."""
    decision = arm.decisions.slice(row, 1).to_pylist()[0]
    right = bool(arm.truth.right[row])
    answer: Answer = arm.reviewer.about(decision, right, arm.truth)
    arm.asked.add(row)
    if decision["action"] != "to_review":
        arm.questions.append(({**decision, "said": answer.right}, right))
        if sample:
            arm.lessons.append((arm.evidence.take(np.array([row])), answer.right))
    for one, other, same in answer.pairs:
        arm.labels[min(one, other), max(one, other)] = same
    if answer.right and decision["action"] != "to_review":
        return set()  # what a person agrees with stays the machine's
    if answer.override is None:
        return set()
    identity = arm.world.offers["identity_hash"][row].as_py()
    arm.overrides.append({**answer.override, "override_id": len(arm.overrides) + 1, "identity_hash": identity})
    return {decision["offer_id"], *([answer.override["counterpart_offer_id"]] if answer.override["counterpart_offer_id"] else [])}


# --- learning -------------------------------------------------------------------------------------------------------


def _answered(arm: Arm, opened: set[str], kept: int, seed: int) -> None:
    """Take the answers in: what they bind, and in the learning arm what they teach, with `kept` more questions to be asked."""
    challenger = _challenger(arm, seed) if arm.learns else None
    if challenger is None:
        opened |= _ask_to_teach(arm, 0, kept)
    else:
        trial = _tried(arm, challenger)
        _decide(arm, opened)  # what the answers bind is bound in both
        if _mends_more(arm, trial, kept, opened):
            arm.model, arm.pairs, arm.memory = trial.model, trial.pairs, trial.memory
            opened = set(arm.world.offers["offer_id"].to_pylist())
    _decide(arm, opened)
    if not arm.learns or not arm.lessons:
        return
    told, error = sureness.together([evidence for evidence, _right in arm.lessons]), _error_of(arm)
    right = np.array([right for _evidence, right in arm.lessons])
    learned = sureness.fit(arm.evidence, told, right, error=error)
    if learned is not None and sureness.is_fit(arm.evidence, told, right, error=error, seed=seed):
        arm.chance = learned.chance(arm.evidence)


@dataclass(frozen=True)
class Trial:
    """The catalog as a challenger would decide it; rows are those of the arm."""

    model: Model
    pairs: pa.Table
    memory: MemoryCatalog
    decisions: pa.Table
    standing: np.ndarray  # int [n]: 1 right, 0 waits for a person, -1 wrong


def _tried(arm: Arm, model: Model) -> Trial:
    """All decided anew by a challenger, beside the catalog."""
    pairs, memory, world = rescore(arm.pairs, model), arm.memory.branch(), arm.world
    decisions = memory.decide(world.offers, pairs, world.offers["offer_id"].combine_chunks(), model.model_id, answers=arm.overrides)
    return Trial(model, pairs, memory, decisions, _standing(decisions, judge(decisions, world.truth)))


def _standing(decisions: pa.Table, truth: Truth) -> np.ndarray:
    return np.where(_settled(decisions), np.where(truth.right, 1, -1), 0)


def _mends_more(arm: Arm, trial: Trial, count: int, opened: set[str]) -> bool:
    """Ask about decisions that the challenger would change, drawn at random; whether what it mends is worth more than what it breaks.

    The answers bind and teach as all do; offers that they bind are added to `opened`.
    """
    columns = ("action", "product_id")
    mine, its = (list(zip(*(table[name].to_pylist() for name in columns), strict=True)) for table in (arm.decisions, trial.decisions))
    changed = np.array([one != other for one, other in zip(mine, its, strict=True)])
    accept = min(arm.world.catalog.policy.accept, 0.99)
    worth = np.array([-accept / (1 - accept), 0.0, 1.0])  # wrong, waiting, right: alone pays from `policy.accept` on (Elkan 2001)
    gained = worth[trial.standing + 1] - worth[_standing(arm.decisions, arm.truth) + 1]
    asked = _drawn(arm, np.flatnonzero(changed), count)
    said = np.array([gained[row] if arm.reviewer.says(True) else -gained[row] for row in asked])
    for row in asked:
        opened |= _learn_of(arm, row, sample=False)
    opened |= _ask_to_teach(arm, 0, count - len(asked))
    return is_beyond_chance(said)


def is_beyond_chance(gains: np.ndarray) -> bool:
    """Whether gains float [n] of a random sample are above 0 on average by more than chance, one-sided: of changes for nothing one in ten is taken."""
    return bool(gains.size > 1 and gains.mean() > BEYOND_CHANCE * gains.std(ddof=1) / np.sqrt(gains.size))


def _decide(arm: Arm, opened: set[str]) -> None:
    """Decide the given offers and look at what came of it."""
    world = arm.world
    ids = pa.array(sorted(opened), pa.string())
    arm.decisions = arm.memory.decide(world.offers, arm.pairs, ids, arm.model.model_id, answers=arm.overrides)
    arm.truth = judge(arm.decisions, world.truth)
    arm.evidence = sureness.gather(world.offers, arm.pairs, arm.decisions)
    arm.chance = arm.evidence.believed


def _error_of(arm: Arm) -> float:
    """How often the reviewer errs, from how often two answers to one question part: 2e(1 - e)."""
    apart = sum(not agreed for agreed in arm.said_twice) + BELIEF * 2 * USUAL_ERROR * (1 - USUAL_ERROR)
    share = min(apart / (len(arm.said_twice) + BELIEF), 0.49)
    return float((1 - np.sqrt(1 - 2 * share)) / 2)


def _challenger(arm: Arm, seed: int) -> Model | None:
    """A pair scorer taught by the answers; None where they are too few."""
    keys = list(zip(arm.pairs["left_id"].to_pylist(), arm.pairs["right_id"].to_pylist(), strict=True))
    told = np.array([place for place, pair in enumerate(keys) if pair in arm.labels], dtype=np.int64)
    same = np.array([arm.labels[keys[place]] for place in told.tolist()], dtype=bool)
    if told.size < LEAST_PAIRS or min(int(same.sum()), int((~same).sum())) < LEAST_EACH:
        return None
    flat = np.asarray(pc.list_flatten(arm.pairs["features"]).to_numpy(), dtype=np.float32)
    features = flat.reshape(arm.pairs.num_rows, -1)
    scores = np.asarray(arm.pairs["score"].to_numpy(), dtype=np.float64)
    agreed = np.asarray(pc.is_null(arm.pairs["conflict"]).to_numpy(zero_copy_only=False), dtype=bool) & ((scores < SURE) | (scores > 1 - SURE))
    agreed[told] = False
    sure = np.sort(np.random.default_rng(seed).permutation(np.flatnonzero(agreed))[: SURE_PER_LABEL * told.size])
    rows = np.concatenate([told, sure])
    labels = np.concatenate([same, scores[sure] > 0.5]).astype(np.float64)
    weights = np.concatenate([np.full(told.size, (1 - 2 * _error_of(arm)) ** 2), np.full(sure.size, SURE_WEIGHT)])
    return fit_labelled(features[rows], labels, weights, seed=seed, base=arm.model)


# --- figures --------------------------------------------------------------------------------------------------------


def _round(number: int, answers: int, arms: Sequence[Arm], precision: float, confidence: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"round": number, "answers": answers, **{arm.name: _figures(arm, precision, confidence) for arm in arms}}
    if len(arms) > 1:
        count = min(arm.alone().size for arm in arms)
        figures["same_automation"] = {
            "automation": round(count / arms[0].chance.size, 4), **{arm.name: round(_wrong_share(arm, arm.alone(count)), 4) for arm in arms}
        }  # fmt: skip
    return figures


def _wrong_share(arm: Arm, rows: np.ndarray) -> float:
    return float((~arm.truth.right[rows]).mean()) if rows.size else 0.0


def _figures(arm: Arm, precision: float, confidence: float) -> dict[str, Any]:
    size, alone = arm.chance.size, arm.alone()
    automation, escapes = alone.size / size, _wrong_share(arm, alone)
    standing = [row for row in alone.tolist() if row in arm.audits and arm.audits[row][0] == _judged(arm, row)]
    right = np.array([arm.audits[row][1] for row in standing], dtype=bool)
    n, correct = right.size, int(right.sum())
    low, high = (lower_bound(correct, n, 0.975), 1 - lower_bound(n - correct, n, 0.975)) if n else (0.0, 1.0)
    by_person = int(pc.sum(pc.equal(arm.decisions["decided_by"], "person")).as_py() or 0)
    return {
        "automation": round(automation, 4),
        "audited": {
            "n": n, "right": correct, "success": round(correct / n, 4) if n else None, "lower": round(lower_bound(correct, n, confidence), 4) if n else None,
            "drawn_of": int(alone.size), "chance": round(n / max(alone.size, 1), 6),
        },
        "true_success": round(1 - escapes, 4), "escapes": round(escapes, 4),
        "straight_through_yield": {"true": round(automation * (1 - escapes), 4), "low": round(automation * low, 4), "high": round(automation * high, 4)},
        "to_review": int(size - alone.size - by_person), "by_person": by_person, "model": arm.model.model_id,
        "threshold": round(float(arm.chance[alone[-1]]), 4) if alone.size else None,
        "escapes_by_automation": {
            f"{level:g}": round(_wrong_share(arm, arm.alone(int(level * size))), 4) for level in LEVELS if int(level * size) <= alone.size
        },
        "promise": _promised(arm, alone, standing, right, precision, confidence),
    }  # fmt: skip


def _promised(arm: Arm, alone: np.ndarray, standing: list[int], right: np.ndarray, precision: float, confidence: float) -> dict[str, Any]:
    """The most of the surest decisions that the audits prove. Thresholds are shares of the decisions, so that the grid is even where sureness is not."""
    rank = np.empty(arm.chance.size)
    rank[alone] = np.arange(alone.size)
    score = 1 - 0.5 * rank[standing] / max(alone.size, 1)
    promise: Promise = solve(score, right, precision=precision, confidence=confidence)
    if promise.threshold is None:
        return {"kept": None, "automation": 0.0, "missing": promise.missing, "answers": promise.answers, "right": promise.right}
    rows = alone[: int(2 * (1 - promise.threshold) * alone.size)]
    escapes = _wrong_share(arm, rows)
    return {
        "kept": bool(1 - escapes >= precision), "automation": round(rows.size / arm.chance.size, 4), "true_success": round(1 - escapes, 4), "missing": 0,
        "answers": promise.answers, "right": promise.right, "lower": promise.bound,
    }  # fmt: skip
