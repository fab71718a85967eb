"""Which supplier carries which product, under which number, and what happens to the offer on which day.

Everything is a pure function of the seed, looked at in arrays of positions: a position is a supplier's own running number
of a product, so each supplier lists the same products in another order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.sandbox.dice import uniform
from endcap.sandbox.goods import GOODS
from endcap.sandbox.product import BLOCK, Product, goods_of, product
from endcap.sandbox.suppliers import CARRIERS, SUPPLIERS, Supplier

POSITIONS_AT_ONCE = 8192
SAMPLE_PRODUCTS = 65_536
FIRST_NUMBER = 100_001
NEVER = 1 << 30
POPULAR_REACH = 0.8
REACH_SALT, HOME_SALT, DROP_SALT, TWICE_SALT, CARRY_SALT, CHURN_SALT = 50, 51, 52, 53, 100, 200

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Churn:
    """Share of offers to which each thing happens in a day."""

    price: float = 0.08
    title: float = 0.006
    new: float = 0.015
    vanished: float = 0.010

    @staticmethod
    def of_share(share: float) -> Churn:
        """A given share of changed offers: price 70 %, title 20 %, new or vanished 10 %."""
        return Churn(share * 0.7, share * 0.2, share * 0.05, share * 0.05)


class History(NamedTuple):
    """What happens to one offer: it is sent from day `born` up to the day before `died`."""

    born: int
    died: int
    price_days: tuple[int, ...]  # for each day the last one on which the price changed, 0: never
    title_days: tuple[int, ...]


class Carried(NamedTuple):
    """One offer to be: a product at a supplier."""

    product: Product
    number: int  # the supplier's running number
    history: History
    popular: bool
    kept: bool  # it is among the few left when the supplier's export stops early
    second: bool  # the same product listed under a second number


def products_for(seed: int, offers: int) -> int:
    """How many products give about this many offers on the first day; measured on a sample, since assortments differ."""
    sample = np.arange(SAMPLE_PRODUCTS, dtype=np.int64)
    carried = sum(int(_carries(seed, place, sample, 1.0).sum()) for place in range(len(SUPPLIERS)))
    return max(BLOCK, round(offers * SAMPLE_PRODUCTS / carried / BLOCK) * BLOCK)


def carried_by(seed: int, place: int, products: int, churn: Churn, days: int) -> Iterator[Carried]:
    """Every offer of supplier SUPPLIERS[place] over all days, in the supplier's own order, none of them remembered."""
    scale, step = _scale(seed, place, products), _step(products, seed, place)
    for start in range(0, products, POSITIONS_AT_ONCE):
        positions = np.arange(start, min(start + POSITIONS_AT_ONCE, products), dtype=np.int64)
        indexes = (positions * step + 17) % products
        chosen = _carries(seed, place, indexes, scale)
        yield from _block(seed, SUPPLIERS[place], positions[chosen], indexes[chosen], products, _histories(seed, place, indexes[chosen], churn, days))


def _block(seed: int, supplier: Supplier, positions: Ints, indexes: Ints, products: int, histories: list[History]) -> Iterator[Carried]:
    kept = (uniform(seed, DROP_SALT, indexes) < 0.1).tolist()
    popular = (_reach(seed, indexes) > POPULAR_REACH).tolist()
    twice = (uniform(seed, TWICE_SALT, indexes) < supplier.habits.twice_listed).tolist()
    blocks = -(-products // BLOCK)
    for at, (position, index) in enumerate(zip(positions.tolist(), indexes.tolist(), strict=True)):
        thing, number = product(seed, index, blocks), FIRST_NUMBER + position
        yield Carried(thing, number, histories[at], popular[at], kept[at], False)
        if twice[at]:
            yield Carried(thing, number + products, histories[at], False, kept[at], True)


_DEPARTMENTS = np.array([list(CARRIERS).index(goods.department) for goods in GOODS])
_FITS = np.array([[department in supplier.departments for department in CARRIERS] for supplier in SUPPLIERS])
_HOME_SLOTS = 840  # divisible by any number of suppliers up to eight
_HOMES = np.array([[carriers[slot % len(carriers)] for slot in range(_HOME_SLOTS)] for carriers in CARRIERS.values()])


def _reach(seed: int, indexes: Ints) -> Floats:
    """How widely a product is sold, 0 to 1: few are sold nearly everywhere, most by one or two suppliers."""
    reach: Floats = 0.06 + 0.94 * uniform(seed, REACH_SALT, indexes) ** 3.5
    return reach


def _carries(seed: int, place: int, indexes: Ints, scale: float) -> npt.NDArray[np.bool_]:
    """Which products supplier SUPPLIERS[place] carries. Every product has one home supplier at least."""
    departments = _DEPARTMENTS[goods_of(seed, indexes)]
    home = _HOMES[departments, (uniform(seed, HOME_SALT, indexes) * _HOME_SLOTS).astype(np.int64)] == place
    wanted = np.where(home, 1.0, np.minimum(1.0, _reach(seed, indexes) * SUPPLIERS[place].weight)) * scale
    carried: npt.NDArray[np.bool_] = _FITS[place][departments] & (uniform(seed, CARRY_SALT + place, indexes) < wanted)
    return carried


def _scale(seed: int, place: int, products: int) -> float:
    """The share of its assortment a supplier sends, below 1 where its feed may hold only so many rows."""
    cap = SUPPLIERS[place].row_cap
    if not cap:
        return 1.0
    sample = np.arange(min(products, SAMPLE_PRODUCTS), dtype=np.int64)
    expected = float(_carries(seed, place, sample, 1.0).mean()) * products
    return min(1.0, 0.97 * cap / (expected + 1))


def _step(products: int, seed: int, place: int) -> int:
    """A step through all products that meets each once."""
    step = int(products * (0.31 + 0.05 * ((seed + 3 * place) % 11))) | 1
    while math.gcd(step, products) != 1:
        step += 2
    return step


def _histories(seed: int, place: int, indexes: Ints, churn: Churn, days: int) -> list[History]:
    """What happens to each offer; an offer is born once at most and dies once at most, afterwards."""
    born, died = np.zeros(len(indexes), dtype=np.int64), np.full(len(indexes), NEVER)
    prices, titles = np.zeros((len(indexes), days), dtype=np.int64), np.zeros((len(indexes), days), dtype=np.int64)
    edges = np.cumsum([churn.price, churn.title, churn.new, churn.vanished])
    for day in range(1, days):
        kind = np.searchsorted(edges, uniform(seed, CHURN_SALT + 1000 * place + day, indexes), side="right")
        prices[:, day] = np.where(kind == 0, day, prices[:, day - 1])
        titles[:, day] = np.where(kind == 1, day, titles[:, day - 1])
        born[(kind == 2) & (born == 0) & (died == NEVER)] = day
        died[(kind == 3) & (died == NEVER)] = day
    columns: tuple[Any, ...] = (born.tolist(), died.tolist(), map(tuple, prices.tolist()), map(tuple, titles.tolist()))
    return list(map(History, *columns))
