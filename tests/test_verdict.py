"""The verdict: one table of evidence and what follows from it, the power of slices, and planted drops that must not pass."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gating import planted
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.learn.verdict import (
    BOUND_Z,
    FAIL,
    HOLD,
    INVALID,
    NOT_EVALUABLE,
    PASS,
    ROLLBACK,
    SHIP,
    Evidence,
    Tally,
    judged,
    labels_needed,
    mcnemar,
    paired_interval,
    upper_bound,
    verdict,
)  # fmt: skip


def tally(n: int, lost: int = 0, won: int = 0, neither: int = 0, name: str = "everything", by: str = "all") -> Tally:
    return Tally(by, name, n, n - lost - won - neither, lost, won)


GOOD = tally(1000, 5, 40, 20)
EVEN = tally(1000, 3, 5, 20)
BAD_SLICE = tally(300, 15, 1, 6, "Shoes", "category")
RUINED = [tally(40, 20, 0, 0, "Shoes", "category"), *(tally(51, 0, 10, 10, name, "category") for name in "abcde")]
# The pool of categories has the lower bound, that of suppliers the harm.
TWO_WAYS = [tally(10, 2, 2, 0, name, "category") for name in "ab"] + [tally(200, 5, 0, 0, name, "supplier") for name in "cdef"]
EVEN_ONES = [tally(40, 1, 1, 0, name, "supplier") for name in "abcdefgh"]
TABLE = [
    ("leaks come before all", Evidence(GOOD, EVEN, faults=["4 judged pairs taught the challenger"], breaches=["loop 3 fails again"]), INVALID, "taught"),
    ("a broken loop comes before better", Evidence(GOOD, EVEN, breaches=["loop 3 fails again"]), ROLLBACK, "loop 3"),
    ("harm over everything", Evidence(GOOD, tally(1000, 40, 5, 20)), ROLLBACK, "worse in everything"),
    ("harm in one large slice", Evidence(GOOD, EVEN, [BAD_SLICE]), ROLLBACK, "category Shoes"),
    ("better and nothing worse", Evidence(GOOD, EVEN), SHIP, "right without a person"),
    ("fewer wrong, as many right", Evidence(EVEN, GOOD), SHIP, "not decided wrongly"),
    ("better, slices pass", Evidence(GOOD, EVEN, [tally(300, 1, 2, 6, "Shoes", "category")]), SHIP, ""),
    ("no difference", Evidence(EVEN, EVEN), HOLD, "n = 1,000, by chance in 36.3 %; not decided wrongly"),
    ("a gain that may be chance", Evidence(tally(108, 1, 5), tally(108)), HOLD, "n = 108, by chance in 10.9 %; not decided wrongly"),
    ("fewer wrong at the price of fewer right", Evidence(tally(1000, 30, 18, 20), GOOD), HOLD, "in what is right without a person is not excluded"),
    ("too few cases", Evidence(tally(29, 0, 20), tally(29)), HOLD, "only 29 judged cases"),
    ("nothing at all", Evidence(tally(0), tally(0)), HOLD, "only 0 judged cases"),
    ("a drop that is not excluded in a slice", Evidence(GOOD, EVEN, [tally(330, 25, 15, 2, "Shoes", "category")]), HOLD, "not excluded in category Shoes"),
    ("more right at the price of more wrong", Evidence(GOOD, tally(1000, 30, 18, 20)), HOLD, "overall is not excluded"),
    ("small slices fall together", Evidence(GOOD, EVEN, [tally(100, 7, 4, 1, name, "category") for name in "abcd"]), HOLD, "small slices together"),
    ("harm in a slice too small to be judged", Evidence(GOOD, EVEN, [tally(40, 20, 0, 0, "Shoes", "category")]), ROLLBACK, "category Shoes"),
    ("harm hidden in a pool", Evidence(tally(295, 20, 50), tally(295, 20, 50), RUINED), ROLLBACK, "category Shoes"),
    ("harm in the pool of one way, loss in that of another", Evidence(GOOD, EVEN, TWO_WAYS), ROLLBACK, "where no supplier"),
    ("a small slice that lost by chance", Evidence(GOOD, EVEN, [tally(40, 4, 0, 0, "Shoes", "category"), *EVEN_ONES]), SHIP, ""),
    ("small slices harmed together", Evidence(GOOD, EVEN, [tally(100, 6, 0, 1, name, "category") for name in "abcd"]), ROLLBACK, "the rest"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "expected", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table(evidence: Evidence, expected: str, words: str) -> None:
    found = verdict(evidence)
    assert found.verdict == expected, found.reasons
    assert any(words in reason for reason in found.reasons), found.reasons
    assert verdict(evidence) == found


def test_how_many_labels_a_drop_needs() -> None:
    assert labels_needed(0.97, 0.05) == 256 and labels_needed(0.97, 0.02) == 1186


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 255), st.data())
def test_no_slice_with_too_few_labels_ever_reads_pass(n: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, n))
    won = data.draw(st.integers(0, n - lost))
    assert judged(tally(n, lost, won), 0.05).state == NOT_EVALUABLE
    assert judged(tally(256), 0.05).state == PASS and judged(tally(256, 20), 0.05).state == FAIL


def test_the_exact_test_and_the_interval_agree_with_their_sources() -> None:
    assert mcnemar(10, 0) == pytest.approx(2**-10) and mcnemar(0, 0) == 1.0
    assert mcnemar(7, 3) == pytest.approx(sum(math.comb(10, k) for k in range(7, 11)) / 2**10)
    # Newcombe 1998, table of paired examples (b): 36, 12, 2, 0 of 50, method 10: 0.0569 to 0.3404.
    low, high = paired_interval(Tally("all", "", 50, 36, 2, 12), 1.959963984540054)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)
    assert upper_bound(0, 0) == 1.0 and 0.9 < upper_bound(90, 100) < 0.95


def test_a_planted_drop_in_one_of_fifty_categories_does_not_ship_while_the_whole_is_better() -> None:
    dice = np.random.default_rng(7)
    blocked = [verdict(planted(dice, 50, 256, 0.05)) for _trial in range(20)]
    assert all(one.right.tally.difference > 0 for one in blocked)
    assert sum(one.verdict != SHIP for one in blocked) >= 16
    assert sum(verdict(planted(dice, 50, 256, 0.0)).verdict == SHIP for _trial in range(10)) >= 9


def test_small_slices_that_differ_by_chance_are_seldom_called_harmed() -> None:
    dice = np.random.default_rng(11)
    found = [verdict(_even(dice, 60, 40)) for _trial in range(300)]
    assert sum(one.verdict == ROLLBACK for one in found) <= 15, "5 in 100, whatever the number of slices"
    blocked = [verdict(_even(dice, 60, 40, ruined=0.4)) for _trial in range(40)]
    assert sum(one.verdict == ROLLBACK and one.slices[0].state == FAIL for one in blocked) >= 32
    assert all(one.slices[1].state == NOT_EVALUABLE for one in blocked)


def _even(dice: np.random.Generator, categories: int, each: int, ruined: float = 0.0) -> Evidence:
    """As many mended as broken everywhere; in the first category so many more are broken."""
    slices = []
    for number in range(categories):
        lost = ruined if not number and ruined else 0.06
        both, gone, won, _neither = (int(count) for count in dice.multinomial(each, [0.86 - lost, lost, 0.06, 0.08]))
        slices.append(Tally("category", f"c{number:02}", each, both, gone, won))
    whole = Tally("all", "everything", 0, 0, 0, 0)
    for one in slices:
        whole = whole.plus(one)
    return Evidence(whole, whole, slices)


def test_underpowered_slices_say_so_and_still_count_together() -> None:
    found = verdict(planted(np.random.default_rng(7), 50, 100, 0.05))
    assert {one.state for one in found.slices} == {NOT_EVALUABLE} and found.rest is not None and found.rest.tally.n == 5000
    assert found.rest.low == pytest.approx(paired_interval(found.rest.tally, BOUND_Z)[0])
