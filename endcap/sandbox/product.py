"""Products of a world: product `index` is a pure function of the seed and its index.

Indexes come in blocks of eight of the same goods; a block holds one to eight families. Siblings of a family differ in
one property (a second one in large families) and have neighbouring GTINs.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from endcap.sandbox.dice import check_digit, dice, hits, pick, pick_skewed, uniform, uniform_one, wide
from endcap.sandbox.goods import BY_KEY, GOODS, Goods, Pair

BLOCK = 8
GOODS_SALT, FAMILY_SALT, BLOCK_SALT, MAIN_SALT = 1, 2, 3, 4
# More than half of all products have no siblings; the rest come in families of two to eight.
FAMILY_SIZES: tuple[tuple[int, ...], ...] = (
    (8,), (6, 1, 1), (4, 2, 1, 1), (3, 2, 1, 1, 1), (2, 2, 1, 1, 1, 1), (2, 1, 1, 1, 1, 1, 1), (3, 1, 1, 1, 1, 1), (2, 2, 2, 1, 1),
    (1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1, 1, 1),
)  # fmt: skip
# Country prefixes of GTINs that real feeds carry; 06 and 08 are American ones whose leading zero gets lost.
PREFIXES = ("40", "40", "42", "43", "90", "76", "50", "87", "54", "30", "06", "08")
SYLLABLES = ("va", "lo", "mi", "ren", "tor", "ka", "bel", "nu", "sti", "gra", "hol", "pex", "dra", "fin", "zo", "wel", "qui", "mar", "ost", "yl")
COINED_BRANDS, COINED_LINES = 45, 180  # of 256
NAMED_BLOCKS = 1_500
LETTERS = "ABCDEFGHJKLMNPRSTUVWXZ"
NONE: Pair = ("", "")


class Product(NamedTuple):
    """One true product."""

    key: int  # its index
    goods: Goods
    brand: str
    line: str  # the family's name, such as 'Aria 450'
    noun: Pair
    specs: tuple[Pair, ...]
    flavour: Pair
    colour: Pair
    amount: float  # in the goods' base unit; 0: none
    pack: int
    size: str
    code: str  # the family's model code; empty: none
    mpn: str  # the variant's own part number; equal to `code` where the maker has only one for the family
    cents: int
    gtin: str  # 13 digits, or 12 for an American one
    varying: tuple[str, ...]  # what tells it from its siblings
    main: str  # for an accessory: brand and line of what it fits


def _places() -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """For each way to divide a block: (family, member, family size) of its eight places."""
    return tuple(tuple((family, member, size) for family, size in enumerate(sizes) for member in range(size)) for sizes in FAMILY_SIZES)


PLACES = _places()
_BOUNDS = np.cumsum([goods.weight for goods in GOODS]) / sum(goods.weight for goods in GOODS)
_BOUNDS_LIST = [float(bound) for bound in _BOUNDS]


def goods_of(seed: int, indexes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Place in GOODS of each product."""
    found: npt.NDArray[np.int64] = np.minimum(np.searchsorted(_BOUNDS, uniform(seed, GOODS_SALT, indexes // BLOCK), side="right"), len(GOODS) - 1)
    return found


def _goods_of_block(seed: int, block: int) -> Goods:
    return GOODS[min(bisect_right(_BOUNDS_LIST, uniform_one(seed, GOODS_SALT, block)), len(GOODS) - 1)]


def product(seed: int, index: int, blocks: int) -> Product:
    """Product `index` of the world with this seed and number of blocks (which only an accessory needs, to find what it fits)."""
    block, place = divmod(index, BLOCK)
    goods = _goods_of_block(seed, block)
    places = pick(PLACES, dice(seed, BLOCK_SALT, block)[0])
    family, member, size = places[place]
    draws = dice(seed, FAMILY_SALT, block * BLOCK + family)
    brand, line = _names(goods, block, draws)
    main = _main_of(seed, goods, block, blocks, draws) if goods.fits else ""
    axes = pick(goods.axes, draws[20])
    flavour, colour, amount, pack, shoe = _variant(goods, draws, axes, member)
    code = _code(goods.code, draws)
    has_own_mpn = bool(code) and draws[21] < 150
    mpn = f"{code}{_suffix(goods, axes, flavour, colour, amount, pack, shoe, member)}" if has_own_mpn else code
    return Product(
        index, goods, brand, line, pick(goods.nouns, draws[22]),
        tuple(pick(group, draws[23 + place]) for place, group in enumerate(goods.specs)),
        flavour, colour, amount, pack, shoe, code, mpn, _cents(goods, draws, amount, pack, axes, member), _gtin(block, place, draws),
        _varying(axes, size, goods), main,
    )  # fmt: skip


def _names(goods: Goods, block: int, draws: bytes) -> tuple[str, str]:
    """Brand and line of a family. Past the first blocks most lines get coined words, or a large world would run out of names."""
    brand = _coined(draws, 0, 2 + draws[1] % 2) if draws[0] < COINED_BRANDS else pick_skewed(goods.brands, wide(draws, 2))
    is_coined = block >= NAMED_BLOCKS and draws[7] < COINED_LINES
    first = _coined(draws, 8, 3) if is_coined else pick(goods.lines, draws[4])
    second = pick(goods.seconds, draws[5]) if goods.seconds else str(10 * (10 + wide(draws, 5) % 90))
    return brand, f"{first} {second}"


def _coined(draws: bytes, at: int, syllables: int) -> str:
    return "".join([pick(SYLLABLES, draw) for draw in draws[at + 1 : at + 1 + syllables]]).capitalize()


def _main_of(seed: int, goods: Goods, block: int, blocks: int, draws: bytes) -> str:
    """Brand and line of a product that an accessory fits: the first block of the right goods after a drawn one."""
    start = int.from_bytes(draws[40:44], "big") % blocks
    wanted = BY_KEY[goods.fits]
    for step in range(min(blocks, 200)):
        candidate = (start + step) % blocks
        if _goods_of_block(seed, candidate) is wanted:
            return " ".join(_names(wanted, candidate, dice(seed, FAMILY_SALT, candidate * BLOCK)))
    return " ".join(_names(wanted, block, dice(seed, MAIN_SALT, block)))


def _axis_values(goods: Goods, axis: str) -> tuple[Any, ...]:
    values: dict[str, tuple[Any, ...]] = {
        "colour": goods.colours, "amount": goods.amounts, "pack": goods.packs, "size": goods.sizes, "flavour": goods.flavours, "set": goods.flavours,
    }  # fmt: skip
    return values[axis]


def _variant(goods: Goods, draws: bytes, axes: tuple[str, str], member: int) -> tuple[Pair, Pair, float, int, str]:
    """What member `member` of a family is: flavour, colour, amount, pack, size."""
    chosen: dict[str, Any] = {
        "flavour": pick(goods.flavours, draws[26]) if goods.flavours and draws[27] < 128 else NONE,
        "colour": pick(goods.colours, draws[28]) if goods.colours else NONE,
        "amount": pick(goods.amounts, draws[29]) if goods.amounts else 0.0,
        "pack": pick(goods.packs, draws[30]) if draws[31] < 50 else 1,
        "size": pick(goods.sizes, draws[32]) if goods.sizes else "",
    }
    first = _axis_values(goods, axes[0])
    chosen[axes[0]] = first[(draws[33] + member) % len(first)]
    if axes[1] != axes[0] and member >= len(first):
        second = _axis_values(goods, axes[1])
        base = second.index(chosen[axes[1]]) if chosen[axes[1]] in second else -1
        chosen[axes[1]] = second[(base + member // len(first)) % len(second)]
    flavour = chosen.get("set") or chosen["flavour"]
    return flavour, chosen["colour"], chosen["amount"], chosen["pack"], chosen["size"]


def _varying(axes: tuple[str, str], size: int, goods: Goods) -> tuple[str, ...]:
    if size == 1:
        return ()
    names = ["flavour" if axis == "set" else axis for axis in axes]
    return (names[0],) if size <= len(_axis_values(goods, axes[0])) or names[0] == names[1] else (names[0], names[1])


def _code(pattern: str, draws: bytes) -> str:
    """A model code by pattern: A a letter, 9 a digit, anything else itself."""
    return "".join(pick(LETTERS, draws[44 + at]) if sign == "A" else str(draws[44 + at] % 10) if sign == "9" else sign for at, sign in enumerate(pattern))


def _suffix(goods: Goods, axes: tuple[str, str], flavour: Pair, colour: Pair, amount: float, pack: int, size: str, member: int) -> str:
    """What a maker adds to the family's code for one variant."""
    texts = {"colour": f"-{_colour_code(colour[0])}", "amount": f"-{amount:g}", "pack": f"-{pack}", "size": f"-{size}", "flavour": f"/{member + 1}"}
    texts["set"] = texts["flavour"]
    return texts[axes[0]] if axes[0] == axes[1] or member < len(_axis_values(goods, axes[0])) else texts[axes[0]] + texts[axes[1]]


@cache
def _colour_code(colour: str) -> str:
    """'BLK' for black, 'LCY' for light cyan: different for all colours, as makers' codes are."""
    first, _, second = colour.partition(" ")
    return (first[:1] + second[:2] if second else first[:2] + first[-1:]).upper()


def _cents(goods: Goods, draws: bytes, amount: float, pack: int, axes: tuple[str, str], member: int) -> int:
    low, high = goods.price_range
    cents = low * (high / low) ** (wide(draws, 34) / 65536)
    if amount:
        cents *= (amount / goods.amounts[0]) ** 0.6
    cents *= pack**0.93
    if "set" in axes:
        cents *= 1 + 0.12 * member
    return max(29, int(cents) // 10 * 10 + (9 if hits(draws, 36, 0.8) else 5))


def _gtin(block: int, place: int, draws: bytes) -> str:
    """GTIN of a place in a block: every block has a run of numbers of its own, so siblings are neighbours."""
    body = f"{pick(PREFIXES, draws[38])}{(block * 61_283_077 + 12_345_671) % 100_000_000:08d}{10 + place:02d}"
    digits = body + check_digit(body)
    return digits.removeprefix("0")
