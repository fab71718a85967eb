"""Structured contradictions in words: stated pack counts or amounts that cannot be of the same product."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from endcap.match.pairs import Pairs
from endcap.match.tokens import hash_texts

# Amounts of content: two different ones are two products. Others (watts, inches) are stated too loosely to forbid a link.
CONTENT_UNITS = ("g", "ml", "GB")
# Rounding ('12 oz' for 350 ml) is not a contradiction.
CLEARLY_DIFFERENT = 1.1


def find_conflicts(pairs: Pairs, places: np.ndarray) -> list[str | None]:
    """For each pair at `places` the contradiction in words, or None."""
    packs, amounts = pairs.measured("pack")[places], pairs.measured("quantity")[places]
    names = _content_units()
    found: list[str | None] = []
    for place, pack, amount in zip(places.tolist(), packs.tolist(), amounts.tolist(), strict=True):
        doubtful = pack == -1.0 or amount < 1.0
        found.append(_conflict(pairs, int(pairs.left[place]), int(pairs.right[place]), names) if doubtful else None)
    return found


@cache
def _content_units() -> dict[int, str]:
    return {int(key): unit for unit, key in zip(CONTENT_UNITS, hash_texts(CONTENT_UNITS), strict=True)}


def _conflict(pairs: Pairs, left: int, right: int, names: dict[int, str]) -> str | None:
    tokens = pairs.index.tokens
    mine, its = tokens.packs.row(left).tolist(), tokens.packs.row(right).tolist()
    my_content, its_content = (_content(tokens.units.row(row).tolist(), tokens.amounts.row(row).tolist(), names) for row in (left, right))
    common = sorted(my_content.keys() & its_content.keys())
    apart = [unit for unit in common if not _reconciled(my_content[unit], its_content[unit], mine, its)]
    if len(mine) == len(its) == 1 and mine != its and (apart or not common):
        return f"pack {mine[0]} against {its[0]}"
    if apart:
        return f"{_several(my_content[apart[0]])} {apart[0]} against {_several(its_content[apart[0]])} {apart[0]}"
    return None


def _content(units: list[int], amounts: list[float], names: dict[int, str]) -> dict[str, list[float]]:
    content: dict[str, list[float]] = {}
    for unit, amount in zip(units, amounts, strict=True):
        if unit in names and amount > 0:
            content.setdefault(names[unit], []).append(amount)
    return content


def _reconciled(mine: list[float], its: list[float], my_packs: list[int], its_packs: list[int]) -> bool:
    """Whether some reading of both texts gives the same amount: of all pieces, or of one where a side may mean one piece."""
    my_total = {amount * pack for amount in mine for pack in my_packs or [1]}
    its_total = {amount * pack for amount in its for pack in its_packs or [1]}
    ways = [(my_total, its_total)]
    if not my_packs or not its_packs or my_packs == its_packs:
        ways += [(set(mine), its_total), (my_total, set(its)), (set(mine), set(its))]
    return any(abs(math.log(a / b)) <= math.log(CLEARLY_DIFFERENT) for one, other in ways for a in one for b in other)


def _several(amounts: list[float]) -> str:
    return " or ".join(f"{amount:g}" for amount in sorted(set(amounts)))
