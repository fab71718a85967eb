"""How far each person's answers can be trusted: from gold items, from who agrees with whom, and from second answers.

Expectation maximisation after Dawid and Skene (1979, Applied Statistics 28:20): the truth of each pair and each person's two error rates
are estimated from each other, with a prior that takes a person for as good as most are until their answers say otherwise. Gold items have
a known truth. Whoever errs on gold more often than a careful person could by chance is flagged; whether their answers are held back is for
a person, or the settings, to say.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import numpy as np

from endcap.decide.promised import HELD
from endcap.learn.votes import VOTES

# A careful person errs so often (studies of record linkage: 1 to 5 in 100); how many answers that belief weighs.
USUAL, BELIEF = 0.05, 20.0
ALPHA, LEAST_ERRORS = 0.01, 6
ROUNDS = 60

# One row a pair: gold sets may say the same pair twice, the newest counts.
_TRUTH = "SELECT left_id, right_id, arg_max(same, \"at\" || source_id) AS same FROM labels WHERE source = 'gold' GROUP BY left_id, right_id"

Pair = tuple[str, str]


class Rates(NamedTuple):
    """How often a person says same of two that differ, and different of two that are the same."""

    false_same: float
    false_different: float


PRIOR = Rates(USUAL, USUAL)


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What is known of one person: answers, gold items and errors on them, the two error rates, and whether they are flagged or held back."""

    person: str
    answers: int
    gold: int
    gold_wrong: int
    shared: int  # pairs that somebody else judged too
    differing: int  # of those, where another said otherwise
    false_same: float
    false_different: float
    flagged: bool
    held: bool
    words: str


def rates_of(votes: Sequence[tuple[Pair, str, bool]], truth: Mapping[Pair, bool], gold: Sequence[tuple[str, bool, bool]] = ()) -> dict[str, Rates]:
    """Error rates by person, from (pair, person, said same) with known truths, and from gold answers (person, said same, truth).

    A pair that only one person judged, and whose truth is not known, tells nothing of that person and is left out.
    """
    people = sorted({person for _pair, person, _same in votes} | {person for person, _said, _truth in gold})
    if not people:
        return {}
    number = {person: place for place, person in enumerate(people)}
    judged = Counter(pair for pair, _person, _same in votes)
    telling = sorted((pair, number[person], same) for pair, person, same in votes if judged[pair] > 1 or pair in truth)
    pairs = sorted({pair for pair, _who, _same in telling})
    place = {pair: row for row, pair in enumerate(pairs)}
    items = np.array([place[pair] for pair, _who, _same in telling] + [len(pairs) + row for row in range(len(gold))], dtype=np.int64)
    who = np.array([who for _pair, who, _same in telling] + [number[person] for person, _said, _truth in gold], dtype=np.int64)
    said = np.array([same for _pair, _who, same in telling] + [said for _person, said, _truth in gold], dtype=bool)
    known = np.array([float(truth[pair]) if pair in truth else math.nan for pair in pairs] + [float(true) for _person, _said, true in gold])
    return dict(zip(people, _fit(items, who, said, known, len(people)), strict=True))


def _fit(items: np.ndarray, who: np.ndarray, said: np.ndarray, known: np.ndarray, people: int) -> list[Rates]:
    same = np.where(np.isnan(known), 0.5, known)  # chance that an item's two are the same
    false_same, false_different, share = np.full(people, USUAL), np.full(people, USUAL), 0.5
    for _round in range(ROUNDS):
        with_same = np.where(said, np.log1p(-false_different[who]), np.log(false_different[who]))
        with_different = np.where(said, np.log(false_same[who]), np.log1p(-false_same[who]))
        odds = np.bincount(items, with_same - with_different, known.size) + math.log(share / (1 - share))
        found = np.where(np.isnan(known), 1 / (1 + np.exp(-np.clip(odds, -30, 30))), known)
        done = bool(np.abs(found - same).max(initial=0.0) < 1e-6)
        same = found
        of_same, of_different = np.bincount(who, same[items], people), np.bincount(who, 1 - same[items], people)
        missed = np.bincount(who, same[items] * ~said, people)
        mistaken = np.bincount(who, (1 - same[items]) * said, people)
        false_different = (missed + USUAL * BELIEF) / (of_same + BELIEF)
        false_same = (mistaken + USUAL * BELIEF) / (of_different + BELIEF)
        share = float((same.sum() + 1) / (same.size + 2))
        if done:
            break
    return [Rates(round(float(one), 4), round(float(other), 4)) for one, other in zip(false_same, false_different, strict=True)]


def too_many(wrong: int, asked: int) -> bool:
    """Whether somebody who errs as seldom as a careful person would make so many errors with a chance below ALPHA."""
    return wrong >= LEAST_ERRORS and tail(wrong, asked, USUAL) < ALPHA


def tail(wrong: int, asked: int, rate: float) -> float:
    """P(X >= wrong) for X binomial."""
    if wrong <= 0:
        return 1.0
    return max(0.0, 1.0 - sum(math.comb(asked, number) * rate**number * (1 - rate) ** (asked - number) for number in range(wrong)))


def flagged(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Why, by person, of everybody who errs on gold more often than a careful person could; far cheaper than `reviewers`."""
    judged = _gold_answers(con)
    if con.execute("SELECT count(*) FROM labels WHERE source = 'gold'").fetchall() != [(0,)]:
        known = con.execute(f"SELECT v.actor, v.same, g.same FROM ({VOTES}) v JOIN ({_TRUTH}) g USING (left_id, right_id)").fetchall()
        judged += [(actor, bool(said), bool(same)) for actor, said, same in known]
    asked, wrong = Counter(person for person, _said, _true in judged), Counter(person for person, said, true in judged if said != true)
    return {person: _gold_words(wrong[person], asked[person]) for person in sorted(asked) if too_many(wrong[person], asked[person])}


def _gold_answers(con: duckdb.DuckDBPyConnection) -> list[tuple[str, bool, bool]]:
    """(person, said same, truth) of each gold item that was asked."""
    rows = con.execute("SELECT asked_of, action IN ('same', 'other'), agrees FROM blind_asks WHERE purpose = 'gold' AND agrees IS NOT NULL").fetchall()
    return [(actor, bool(said), bool(said) == bool(agrees)) for actor, said, agrees in rows]


def reviewers(con: duckdb.DuckDBPyConnection) -> list[Reviewer]:
    """Everybody who answered, those that need looking at first; who is held back is judged by the same answers as before."""
    votes = con.execute(f"SELECT left_id, right_id, actor, same FROM ({VOTES}) ORDER BY ALL").fetchall()
    truth = {(left, right): bool(same) for left, right, same in con.execute(_TRUTH).fetchall()}
    held = {person for (person,) in con.execute(HELD).fetchall()}
    told = [((left, right), actor, bool(same)) for left, right, actor, same in votes]
    gold = _gold_answers(con)
    rates = rates_of(told, truth, gold)
    said_of: dict[Pair, dict[str, bool]] = defaultdict(dict)
    for pair, person, same in told:
        said_of[pair][person] = same
    judged = [*gold, *((person, same, truth[pair]) for pair, person, same in told if pair in truth)]
    return sorted((_about(person, said_of, judged, rates[person], person in held) for person in rates), key=lambda one: (not one.flagged, one.person))


def _about(person: str, said_of: Mapping[Pair, Mapping[str, bool]], gold: Sequence[tuple[str, bool, bool]], rates: Rates, held: bool) -> Reviewer:
    mine = {pair: said for pair, said in said_of.items() if person in said}
    shared = [said for said in mine.values() if len(said) > 1]
    differing = sum(any(other != said[person] for who, other in said.items() if who != person) for said in shared)
    asked = [(said, true) for who, said, true in gold if who == person]
    wrong = sum(said != true for said, true in asked)
    is_flagged = too_many(wrong, len(asked))
    words = _gold_words(wrong, len(asked)) if asked else "no gold item answered yet"
    if is_flagged:
        words += "; look at the answers, and hold them back from teaching with `endcap labels revert`"
    return Reviewer(person, len(mine), len(asked), wrong, len(shared), differing, rates.false_same, rates.false_different, is_flagged, held, words)


def _gold_words(wrong: int, asked: int) -> str:
    return f"{wrong} of {asked} gold items wrong, where a careful person errs in {USUAL:.0%}"
