"""The brands of a catalog, collected from what suppliers state in their brand fields and how titles bear it out.

A brand is kept under its compact key (letters and digits only, no case, no accents), with its most frequent spelling.
How far a mention in a title can be trusted is counted on offers that also state a brand: how often the two agree.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from endcap.infer import folding

_TOKEN = re.compile(r"[^\W_]+")
_PRICE = re.compile(r"\d+[.,]\d{2}\b|[€$£%]|\b(?:eur|usd|chf)\b", re.IGNORECASE)
_NO_BRAND_KEYS = (
    "na none null unknown unbekannt nobrand ohnemarke markenlos generic generisch other others sonstige sonstiges diverse various misc notapplicable "
    "brand marke keine noname unbranded default test"
)
_NO_BRAND = frozenset(_NO_BRAND_KEYS.split())
MOST_WORDS, MOST_CHARACTERS, MOST_TITLE_WORDS = 5, 40, 4
SEVERAL = 3  # offers under one supplier that make a statement more than a slip
# What a mention in a title is worth before anything was counted, and how many counted offers that weighs.
_PRIOR_START, _PRIOR_INSIDE, _PRIOR_OFFERS = 0.75, 0.3, 4.0


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand: its spelling, how many offers and feeds state it, and how far a title's mention can be trusted."""

    name: str
    offers: int
    feeds: int
    at_start: float  # probability that an offer whose title begins with it is of this brand
    inside: float  # the same for a mention further on


class Mention(NamedTuple):
    """A known brand in a title at [start, end) in characters."""

    key: str
    first: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Brands:
    """All brands by compact key, and how far each feed's brand field can be trusted (0 to 1)."""

    by_key: dict[str, Brand] = field(default_factory=dict)
    trust: dict[str, float] = field(default_factory=dict)

    def mentions(self, title: str) -> list[Mention]:
        """Known brands in a title, the longest at each place, in order of place."""
        tokens = [(folding.folded(match.group()), match.start(), match.end()) for match in _TOKEN.finditer(title)]
        found: list[Mention] = []
        place = 0
        while place < len(tokens):
            longest = self._longest(tokens, place)
            if longest:
                key, last = longest
                found.append(Mention(key, place == 0, tokens[place][1], tokens[last][2]))
                place = last
            place += 1
        return found

    def _longest(self, tokens: Sequence[tuple[str, int, int]], place: int) -> tuple[str, int] | None:
        key, longest = "", None
        for last in range(place, min(place + MOST_TITLE_WORDS, len(tokens))):
            key += tokens[last][0]
            if key in self.by_key:
                longest = (key, last)
        return longest


def brand_key(text: str | None) -> str:
    """The key of a text that may be a brand; empty for a sentence, a price, a number, a placeholder."""
    if not text or len(text) > MOST_CHARACTERS or _PRICE.search(text):
        return ""
    key = folding.compact(text)
    if len(key) < 2 or key.isdigit() or key in _NO_BRAND or len(text.split()) > MOST_WORDS:
        return ""
    return key


def learn_brands(statements: Iterable[tuple[str, str | None, int]], titles: Sequence[tuple[str, str]]) -> Brands:
    """Brands from (feed, stated brand, offers) and from (title, stated brand) of a sample of offers."""
    stated = sorted((feed, text or "", offers) for feed, text, offers in statements)
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    feeds: dict[str, set[str]] = defaultdict(set)
    for feed, text, offers in stated:
        key = brand_key(text)
        if key:
            spellings[key][" ".join(text.split())] += offers
            feeds[key].add(feed)
    vocabulary = Brands({key: Brand("", 0, 0, 0.0, 0.0) for key in spellings})
    agreed = _count_agreement(vocabulary, titles)
    by_key = {key: _brand(spellings[key], len(feeds[key]), agreed.get((key, True), (0, 0)), agreed.get((key, False), (0, 0))) for key in sorted(spellings)}
    return Brands(by_key, _trust(stated, by_key))


def _brand(spellings: Counter[str], feeds: int, start: tuple[int, int], inside: tuple[int, int]) -> Brand:
    name = min(spellings, key=lambda spelling: (-spellings[spelling], spelling.isupper(), spelling))
    return Brand(name, sum(spellings.values()), feeds, _smoothed(start, _PRIOR_START), _smoothed(inside, _PRIOR_INSIDE))


def _smoothed(counts: tuple[int, int], prior: float) -> float:
    agreed, seen = counts
    return round((agreed + prior * _PRIOR_OFFERS) / (seen + _PRIOR_OFFERS), 4)


def _count_agreement(vocabulary: Brands, titles: Sequence[tuple[str, str]]) -> dict[tuple[str, bool], tuple[int, int]]:
    """(key, at the title's start) -> offers where the mention is the stated brand, offers with the mention."""
    agreed: Counter[tuple[str, bool]] = Counter()
    seen: Counter[tuple[str, bool]] = Counter()
    for title, stated in titles:
        key = brand_key(stated)
        if key:
            for mention in vocabulary.mentions(title):
                seen[mention.key, mention.first] += 1
                agreed[mention.key, mention.first] += mention.key == key
    return {place: (agreed[place], count) for place, count in seen.items()}


def _trust(stated: Sequence[tuple[str, str, int]], by_key: dict[str, Brand]) -> dict[str, float]:
    """Per feed the share of offers with a brand field whose statement others repeat or that it makes several times itself."""
    good: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for feed, text, offers in stated:
        if text.strip():
            brand = by_key.get(brand_key(text))
            given[feed] += offers
            good[feed] += offers if brand and (brand.feeds > 1 or brand.offers >= SEVERAL) else 0
    return {feed: round((good[feed] + 1) / (given[feed] + 2), 4) for feed in sorted(given)}
