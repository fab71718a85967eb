"""One offer as a small object: what a feature compares when it explains a single pair."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from endcap.match.block import LETTER_SHARE, NAMING, PRICE_SHARE, TEXT_SHARE, TITLE_SHARE, UNKNOWN_PRICE
from endcap.match.context import COPIES
from endcap.match.index import SEARCHED, Index
from endcap.match.reading import CODE, FORM, WORD
from endcap.text import TITLE_LETTERS, fold


@dataclass(frozen=True)
class Near:
    """One candidate in an offer's list."""

    row: int
    feed: int
    similarity: float


@dataclass(frozen=True)
class Record:
    """An offer's tokens with their rarity, its stated measures and keys, and its candidates."""

    row: int
    feed: int
    title: str  # folded
    flags: dict[int, int]  # token hash -> reading flags
    rarity: dict[int, float]  # token hash -> 0..1
    grams: dict[int, float]  # 3-gram bucket -> rarity
    quantities: tuple[tuple[int, float], ...]  # (hash of the base unit, amount)
    packs: frozenset[int]
    details: tuple[tuple[int, int], ...]  # (hash of the name, hash of the value)
    brand: int
    mpn: int
    gtin: int
    price: float
    currency: int
    near: tuple[Near, ...] = ()
    often: bool = False  # its feed lists a product often
    near_full: bool = False  # more candidates may follow than the list holds
    shown: dict[str, str] = field(default_factory=dict)  # the offer's fields as text, for words

    def only(self, flag: int) -> set[int]:
        """Tokens that are of the given kind in this offer."""
        return {token for token, flags in self.flags.items() if flags & flag}

    def rarest(self, tokens: set[int]) -> str:
        """The rarest of some tokens as this offer writes it; of equally rare ones a code, then the longest. '?' where it writes none of them as such."""
        written = [(token, self.shown[f"token {token}"]) for token in tokens if f"token {token}" in self.shown]
        order = [(-self.rarity[token], not self.flags[token] & CODE, -len(form), form) for token, form in written]
        return min(order)[-1] if order else "?"

    def squares(self, tokens: set[int]) -> float:
        """Sum of rarity squared."""
        return sum(self.rarity[token] ** 2 for token in sorted(tokens))


def record_at(index: Index, row: int, title: str, near: tuple[np.ndarray, np.ndarray] | None = None) -> Record:
    """The record of a row of an index; `near` is its row of the candidate graph (rows, similarity)."""
    tokens = index.tokens
    hashes = tokens.hashes.row(row).tolist()
    span = slice(tokens.hashes.start[row], tokens.hashes.start[row + 1])
    grams = tokens.grams.row(row)
    found = () if near is None else tuple(
        Near(int(other), int(index.feeds[other]), float(value)) for other, value in zip(*near, strict=True) if other >= 0
    )  # fmt: skip
    return Record(
        row=row,
        feed=int(index.feeds[row]),
        title=fold(title[:TITLE_LETTERS]),
        flags=dict(zip(hashes, tokens.flags.row(row).tolist(), strict=True)),
        rarity=dict(zip(hashes, index.weights[span].tolist(), strict=True)),
        grams=dict(zip(grams.tolist(), index.gram_rarity[grams].tolist(), strict=True)),
        quantities=tuple(zip(tokens.units.row(row).tolist(), tokens.amounts.row(row).tolist(), strict=True)),
        packs=frozenset(tokens.packs.row(row).tolist()),
        details=tuple(zip(tokens.detail_names.row(row).tolist(), tokens.detail_values.row(row).tolist(), strict=True)),
        brand=int(tokens.brand[row]),
        mpn=int(tokens.mpn[row]),
        gtin=int(tokens.gtin[row]),
        price=float(index.prices[row]),
        currency=int(index.currencies[row]),
        near=found,
        often=bool(index.often[row]),
        near_full=near is not None and bool((near[0] >= 0).all()),
    )


def word_cosine(left: Record, right: Record) -> float:
    """Cosine over title words and codes weighted by rarity squared; joined forms count where they meet a word or code."""
    total = 0.0
    for token in sorted(left.only(WORD | CODE | FORM) & right.only(WORD | CODE | FORM)):
        if (left.flags[token] | right.flags[token]) & (WORD | CODE):
            total += left.rarity[token] ** 4
    return min(total / max(_length(left) * _length(right), 1e-9), 1.0)


def letter_cosine(left: Record, right: Record) -> float:
    """Cosine over the titles' character 3-grams weighted by rarity squared."""
    shared = sum(left.grams[gram] ** 4 for gram in sorted(left.grams.keys() & right.grams.keys()))
    lengths = [sum(value**4 for value in side.grams.values()) ** 0.5 for side in (left, right)]
    return shared / max(lengths[0] * lengths[1], 1e-9)


def similarity(left: Record, right: Record) -> float:
    """The nearness by which candidates are found: title, all tokens, the title's 3-grams, and a little of the price."""
    title = sum(left.rarity[token] ** 2 for token in sorted(left.only(SEARCHED) & right.only(SEARCHED)) if (left.flags[token] | right.flags[token]) & NAMING)
    text = left.squares(left.flags.keys() & right.flags.keys())
    letters = sum(left.grams[gram] ** 2 for gram in sorted(left.grams.keys() & right.grams.keys()))
    lengths = [(side.squares(side.only(NAMING)), side.squares(set(side.flags)), sum(value**2 for value in side.grams.values())) for side in (left, right)]
    cosines = [min(shared / max((one * other) ** 0.5, 1e-9), 1.0) for shared, one, other in zip((title, text, letters), *lengths, strict=True)]
    known = left.price > 0 and right.price > 0 and (left.currency == right.currency or not left.currency or not right.currency)
    price = min(left.price, right.price) / max(left.price, right.price) if known else float(UNKNOWN_PRICE)
    shares = (float(share) for share in (TITLE_SHARE, TEXT_SHARE, LETTER_SHARE))
    near = sum(share * value for share, value in zip(shares, cosines, strict=True))
    return near + float(PRICE_SHARE) * price if near > 0 else 0.0


def _length(side: Record) -> float:
    return float(sum(side.rarity[token] ** 4 for token in sorted(side.only(WORD | CODE))) ** 0.5)


@dataclass(frozen=True)
class Standing:
    """Where one offer stands in another's candidate list."""

    rank: int
    margin: float
    of_best: float


def standing(own: Record, other: Record) -> Standing:
    """As `context.compare_ranks` has it for one side of a pair."""
    value = similarity(own, other)
    others = [near.similarity for near in own.near if near.feed == other.feed and near.row != other.row]
    apart = COPIES * value if other.often and own.feed != other.feed else 0.0
    rivals = [rival for rival in others if abs(rival - value) >= apart]
    rank = 1 + sum(rival > value for rival in rivals)
    last = own.near[-1].similarity if own.near_full else 0.0
    rival = max(rivals, default=last)
    if not rivals and last > value:
        rank = len(own.near) + 1
    best = max([value, *(near.similarity for near in own.near[:1])])
    return Standing(rank, max((value - rival) / max(value, 1e-6), -1.0), value / max(best, 1e-6))
