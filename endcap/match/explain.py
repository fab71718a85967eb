"""Why a pair has its score: one bar a feature, with what it adds to the log-odds and what it says in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from endcap import shelf
from endcap.match.apart import TOLD_APART
from endcap.match.apart import WORDS as APART_WORDS
from endcap.match.index import Counts, Index, build_index, count_tokens, gram_rarities, number_tokens, view_index
from endcap.match.record import Record, record_at
from endcap.match.score import Model
from endcap.match.stack import WORDS as LEARNED_WORDS
from endcap.match.tokens import COLUMNS, Tokens, hash_texts, hash_words, read_tokens, unspaced_forms
from endcap.units import find_quantities

WORD_FORM = re.compile(r"[^\W_]+(?:[-/._,][^\W_]+)*")
PARTS = re.compile(r"[-/._,]")
PRIOR = "prior"


@dataclass(frozen=True)
class Bar:
    """One bar of a waterfall; the contributions of all bars sum to the pair's log-odds."""

    name: str
    value: float  # NaN = unknown
    words: str
    contribution: float


def explain_pair(left: dict[str, Any], right: dict[str, Any], model: Model, features: Sequence[float]) -> list[Bar]:
    """Bars of a pair, the prior first and then the strongest; `left` and `right` are Offer rows as dicts.

    `features` are the pair's values in the model's order, as stored or as `reach` finds them.
    """
    one, other = read_records([left, right])
    return _bars(one, other, model, features, model.contributions(np.array([features], dtype=np.float32))[0].tolist())


def explain_beside(asked: dict[str, Any], others: Sequence[dict[str, Any]], model: Model, features: Sequence[Sequence[float]]) -> list[list[Bar]]:
    """Bars of one offer with each of some others, as `explain_pair` gives them, in one go; `features` are the pairs' values."""
    if not others:
        return []
    mine, *its = read_records([asked, *others])
    contributions = model.contributions(np.array(features, dtype=np.float32)).tolist()
    return [_bars(mine, other, model, values, told) for other, values, told in zip(its, features, contributions, strict=True)]


def _bars(one: Record, other: Record, model: Model, values: Sequence[float], contributions: Sequence[float]) -> list[Bar]:
    bars = [
        Bar(name, value, _words(name, one, other, value), contribution)
        for name, value, contribution in zip(model.names, values, contributions[:-1], strict=True)
    ]
    start = Bar(PRIOR, math.nan, "what any candidate pair starts with", contributions[-1])
    return [start, *sorted(bars, key=lambda bar: (-abs(bar.contribution), bar.name))]


def _words(name: str, one: Record, other: Record, value: float) -> str:
    """What a column says of two offers: a feature in its own words, a learned column by its name and value."""
    if name == TOLD_APART:
        return f"{APART_WORDS}: {value:.2f}"
    if name not in LEARNED_WORDS:
        return str(shelf.component("features", name).words(one, other, value))
    return LEARNED_WORDS[name] + (": nothing to go by" if math.isnan(value) else f": {value:.2f}")


def read_records(offers: Sequence[dict[str, Any]]) -> list[Record]:
    """Records of offers given as dicts of Offer fields, each of a feed of its own unless it names one; rarity is among these offers only."""
    tokens, titles, others = _read(offers)
    index = _view(tokens, *others)
    records = [record_at(index, place, str(title)) for place, title in enumerate(titles.to_pylist())]
    return _shown(records, offers)


def index_offers(offers: Sequence[dict[str, Any]]) -> tuple[Index, pa.ChunkedArray[Any]]:
    """(index, titles) of offers given as dicts of Offer fields, in their order."""
    tokens, titles, others = _read(offers)
    return build_index(tokens, *others), titles


def _read(offers: Sequence[dict[str, Any]]) -> tuple[Tokens, pa.ChunkedArray[Any], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(tokens, titles, feeds, prices and currencies) of offers in their order."""
    rows = [{"offer_id": f"{place}", "feed": f"{place}", **offer, "identity_hash": place} for place, offer in enumerate(offers)]
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.int64() if name == "identity_hash" else pa.string()) for name in COLUMNS})
    feeds = sorted({str(row["feed"]) for row in rows})
    prices = np.array([float(row["price"]) if row.get("price") is not None else math.nan for row in rows])
    numbers = np.array([feeds.index(str(row["feed"])) for row in rows], dtype=np.int32)
    return read_tokens(table), table["title"], (numbers, prices, hash_texts([row.get("currency") for row in rows]))


def _view(tokens: Tokens, feeds: np.ndarray, prices: np.ndarray, currencies: np.ndarray) -> Index:
    """As `build_index`, to be compared only: nothing is inverted, and the rarity of a 3-gram is looked up by its count among these few."""
    ids, vocabulary = number_tokens(tokens.hashes.values)
    counts = Counts(tokens.size, *count_tokens(ids, tokens.grams.values, vocabulary.size))
    by_count = gram_rarities(counts._replace(grams=np.arange(tokens.size + 1, dtype=np.int32)))
    return view_index(tokens, ids, counts, feeds, prices, currencies, gram_rarity=by_count[counts.grams])


def _shown(records: list[Record], offers: Sequence[dict[str, Any]]) -> list[Record]:
    """The records with their offers' texts, so that features can quote them."""
    written = [_written(offer) for offer in offers]
    hashes = iter(hash_words([form for forms in written for form in forms]).tolist())
    for record, offer, forms in zip(records, offers, written, strict=True):
        shown = {name: str(offer[name]) for name in ("title", "brand", "mpn", "gtin") if offer.get(name)}
        quantities = [quantity.text for part in ("title", "quantity_text") if offer.get(part) for quantity in find_quantities(str(offer[part]))]
        shown["quantities"] = ", ".join(dict.fromkeys(quantities)) or "none"
        for token, form in sorted((next(hashes), form) for form in forms):
            shown.setdefault(f"token {token}", form)
        record.shown.update(shown)
    return records


def _written(offer: dict[str, Any]) -> list[str]:
    """The words of an offer as written, their parts, and what is read of scripts without spaces."""
    text = " ".join(str(offer[name]) for name in ("title", "mpn", "quantity_text", "details_json", "brand", "description") if offer.get(name))
    words = [form for match in WORD_FORM.finditer(text) for form in {match.group(), *PARTS.split(match.group())}]
    return [form for word in dict.fromkeys(words) for form in (word, *unspaced_forms(word))]
