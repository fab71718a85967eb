"""Draws that are pure functions of their key, so that any part of a world can be made without the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
_MASK = 0xFFFFFFFFFFFFFFFF


def dice(*key: int) -> bytes:
    """64 independent bytes for a key of whole numbers; the same key gives the same bytes on every machine."""
    return blake2b(",".join(map(str, key)).encode(), digest_size=64).digest()


def wide(draws: bytes, at: int) -> int:
    """Two bytes of a draw as a number from 0 to 65535."""
    return draws[at] << 8 | draws[at + 1]


def hits(draws: bytes, at: int, share: float) -> bool:
    """Whether an event of probability `share` happens, by the two bytes at `at`."""
    return (draws[at] << 8 | draws[at + 1]) < share * 65536


def pick(choices: Sequence[T], draw: int) -> T:
    """One of the choices, all equally likely."""
    return choices[draw % len(choices)]


def pick_skewed(choices: Sequence[T], draw: int) -> T:
    """One of the choices, the first ones far more often; `draw` from 0 to 65535."""
    return choices[int(len(choices) * (draw / 65536) ** 1.7)]


def uniform(seed: int, salt: int, ids: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A number from 0 to 1 for each id, by SplitMix64 (Steele, Lea and Flood 2014) over seed, salt and id."""
    with np.errstate(over="ignore"):
        state = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(_start(seed, salt))
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))).astype(np.float64) / 2.0**64


def uniform_one(seed: int, salt: int, number: int) -> float:
    """`uniform` of a single id, without arrays."""
    state = (number * 0x9E3779B97F4A7C15 + _start(seed, salt)) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return float(state ^ (state >> 31)) / 2.0**64


@cache
def _start(seed: int, salt: int) -> int:
    return int.from_bytes(blake2b(f"{seed},{salt}".encode(), digest_size=8).digest(), "little")


def check_digit(body: str) -> str:
    """The GS1 check digit of a GTIN without it (any length)."""
    codes = body.encode()
    tripled, single = codes[::-2], codes[-2::-2]
    total = 3 * (sum(tripled) - ord("0") * len(tripled)) + sum(single) - ord("0") * len(single)
    return str(-total % 10)
