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
from endcap.match.index import Index, build_index
from endcap.match.record import Record, record_at
from endcap.match.score import Model
from endcap.match.stack import WORDS as LEARNED_WORDS
from endcap.match.tokens import COLUMNS, hash_texts, hash_words, read_tokens, unspaced_forms
from endcap.units import find_quantities

WORD_FORM = re.compile(r"[^\W_]+(?:[-/._,][^\W_]+)*")
PRIOR = "prior"


@dataclass(frozen=True)
class Bar:
    """One bar of a waterfall; the contributions of all bars sum to the pair's log-odds."""

    name: str
    value: float  # NaN = unknown
    words: str
    contribution: float


def explain_pair(left: dict[str, Any], right: dict[str, Any], model: Model, features: Sequence[float] | None = None) -> list[Bar]:
    """Bars of a pair, the prior first and then the strongest; `left` and `right` are Offer rows as dicts.

    `features` are the pair's values in the model's order, as stored or as `reach` finds them. Without them they are computed
    from the two offers alone, so that rarity and context mean little; only a model without learned columns can do so.
    Raises ValueError where a model with learned columns is given no features.
    """
    one, other = read_records([left, right])
    if features is None and model.stack is not None:
        raise ValueError("learned columns are not known from two offers alone")
    values = [shelf.component("features", name).compare(one, other) for name in model.names] if features is None else list(features)
    return _bars(one, other, model, values, model.contributions(np.array([values], dtype=np.float32))[0].tolist())


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
    if name not in LEARNED_WORDS:
        return str(shelf.component("features", name).words(one, other, value))
    return LEARNED_WORDS[name] + (": nothing to go by" if math.isnan(value) else f": {value:.2f}")


def read_records(offers: Sequence[dict[str, Any]]) -> list[Record]:
    """Records of offers given as dicts of Offer fields, each of a feed of its own unless it names one; rarity is among these offers only."""
    index, titles = index_offers(offers)
    return [_shown(record_at(index, place, str(title)), offer) for place, (title, offer) in enumerate(zip(titles.to_pylist(), offers, strict=True))]


def index_offers(offers: Sequence[dict[str, Any]]) -> tuple[Index, pa.ChunkedArray[Any]]:
    """(index, titles) of offers given as dicts of Offer fields, in their order."""
    rows = [{"offer_id": f"{place}", "feed": f"{place}", **offer, "identity_hash": place} for place, offer in enumerate(offers)]
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.int64() if name == "identity_hash" else pa.string()) for name in COLUMNS})
    feeds = sorted({str(row["feed"]) for row in rows})
    prices = np.array([float(row["price"]) if row.get("price") is not None else math.nan for row in rows])
    currencies = hash_texts([row.get("currency") for row in rows])
    numbers = np.array([feeds.index(str(row["feed"])) for row in rows], dtype=np.int32)
    return build_index(read_tokens(table), numbers, prices, currencies), table["title"]


def _shown(record: Record, offer: dict[str, Any]) -> Record:
    """The record with the offer's texts, so that features can quote them."""
    shown = {name: str(offer[name]) for name in ("title", "brand", "mpn", "gtin") if offer.get(name)}
    text = " ".join(str(offer[name]) for name in ("title", "mpn", "quantity_text", "details_json", "brand", "description") if offer.get(name))
    quantities = [quantity.text for part in ("title", "quantity_text") if offer.get(part) for quantity in find_quantities(str(offer[part]))]
    shown["quantities"] = ", ".join(dict.fromkeys(quantities)) or "none"
    words = [form for match in WORD_FORM.finditer(text) for form in {match.group(), *re.split(r"[-/._,]", match.group())}]
    written = [form for word in words for form in (word, *unspaced_forms(word))]
    for token, form in sorted(zip(hash_words(written).tolist(), written, strict=True)):
        shown.setdefault(f"token {token}", form)
    record.shown.update(shown)
    return record
