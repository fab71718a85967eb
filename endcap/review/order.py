"""In which order to ask: what is doubtful and costly, of many kinds rather than one, with some that is likely and some of the tail in between.

Asked only about doubts, people would see hardly a true match, and what is learned would lean to refusals; asked only about what much hangs on,
the tail would never be looked at. Before anybody answered, the likeliest and some at random come first, so that both answers occur at once
(uncertainty sampling, Lewis and Gale 1994, begun as EVIDENCE of earlier trials says: 15 likely ones and 10 at random).
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, cycle

# How many answers about products there are.
ANSWERED = "SELECT count(*) AS answers FROM overrides WHERE action IN ('same', 'other', 'different', 'new')"
FIRST_LIKELY, FIRST_RANDOM = 15, 10
# Of ten: seven doubts, two likely ones, one of the tail.
PATTERN = "ddddlddtdl"
# Each further one of the same supplier, category and reason weighs so much less.
REPEATED = 0.15
# A product with so few offers is of the tail.
TAIL_OFFERS = 1


@dataclass(frozen=True, slots=True)
class Place:
    """What waits: whose it is, why, how sure the machine is that the offer is the proposed product, and how many offers that has."""

    offer_id: str
    supplier: str
    category: str | None
    reason_code: str
    confidence: float
    offers: int
    put_off: bool = False

    @property
    def doubt(self) -> float:
        """Chance that the machine's better guess is wrong."""
        return min(self.confidence, 1 - self.confidence)

    @property
    def cost(self) -> float:
        """What leaving it is expected to cost: chance of an error x offers that hang on it."""
        return self.doubt * math.log(2 + self.offers)


def ordered(places: Sequence[Place], *, first: bool = False) -> list[int]:
    """The numbers of the places in the order of asking; `first` before anybody answered. What was put off comes last."""
    open_now = [number for number, place in enumerate(places) if not place.put_off]
    put_off = [number for number, place in enumerate(places) if place.put_off]
    likely = sorted(open_now, key=lambda number: (-places[number].confidence, places[number].offer_id))
    beginning = _beginning(places, likely) if first else []
    streams = {
        "d": _diverse(places, open_now),
        "l": likely,
        "t": sorted(
            (number for number in open_now if places[number].offers <= TAIL_OFFERS), key=lambda number: (-places[number].doubt, places[number].offer_id)
        ),
    }
    return [*_woven(streams, beginning, len(open_now)), *_diverse(places, put_off)]


def _diverse(places: Sequence[Place], numbers: Sequence[int]) -> list[int]:
    """The costliest first, each further one of a kind at a discount."""
    by_cost = sorted(numbers, key=lambda number: (-places[number].cost, places[number].offer_id))
    seen: Counter[tuple[str, str | None, str]] = Counter()
    worth: dict[int, float] = {}
    for number in by_cost:
        place = places[number]
        kind = (place.supplier, place.category, place.reason_code)
        worth[number] = place.cost / (1 + REPEATED * seen[kind])
        seen[kind] += 1
    return sorted(by_cost, key=lambda number: (-worth[number], places[number].offer_id))


def _beginning(places: Sequence[Place], likely: Sequence[int]) -> list[int]:
    """The likeliest with some at random between them."""
    top = list(likely[:FIRST_LIKELY])
    rest = sorted(likely[FIRST_LIKELY:], key=lambda number: hashlib.sha256(places[number].offer_id.encode()).digest())[:FIRST_RANDOM]
    woven = [top[start : start + 3] + rest[2 * start // 3 : 2 * start // 3 + 2] for start in range(0, FIRST_LIKELY, 3)]
    return list(chain.from_iterable(woven))


def _woven(streams: dict[str, list[int]], beginning: Sequence[int], size: int) -> list[int]:
    taken, order = set(beginning), list(beginning)
    waiting = {name: iter(stream) for name, stream in streams.items()}
    for name in cycle(PATTERN):
        if len(order) == size:
            return order
        number = next((one for one in waiting[name] if one not in taken), None)
        if number is not None:
            taken.add(number)
            order.append(number)
    return order
