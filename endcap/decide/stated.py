"""Whether two stated values can be of one product: the same words, or amounts that rounding explains; amounts of other units say nothing."""

from __future__ import annotations

import math
from functools import lru_cache

# 13.5 and 14 ml are one bottle; 400 and 500 g are two.
ROUNDED = 1.1
SIZE_SYSTEMS = ("EU", "UK", "US", "FR")


@lru_cache(maxsize=65536)
def agree(one: str, other: str) -> bool:
    """Whether two values of one attribute do not contradict each other."""
    if one == other or f"{one} {_system(other)}" == other or f"{other} {_system(one)}" == one:
        return True
    if "/" in one or "/" in other:  # of two colours one supplier may name the first alone
        parts, its_parts = set(one.split("/")), set(other.split("/"))
        return parts <= its_parts or its_parts <= parts
    mine, its = _amount(one), _amount(other)
    if mine is None or its is None:
        return False
    (value, unit), (its_value, its_unit) = mine, its
    if unit != its_unit:
        return True
    return value > 0 and its_value > 0 and abs(math.log(value / its_value)) <= math.log(ROUNDED)


def _system(text: str) -> str:
    """The system of a size, which not everybody names: '36 EU' and '36' say the same."""
    last = text.rpartition(" ")[2]
    return last if last in SIZE_SYSTEMS else ""


def comparable(one: str, other: str) -> bool:
    """Whether two values say anything of one another: amounts in different units do not."""
    mine, its = _amount(one), _amount(other)
    return mine is None or its is None or mine[1] == its[1]


def _amount(text: str) -> tuple[float, str] | None:
    """(value, unit) of an amount with a unit; None of anything else."""
    number, _space, unit = text.partition(" ")
    try:
        return (float(number), unit) if unit and not unit[0].isdigit() else None
    except ValueError:
        return None
