"""Many sources: offers of many shops to products, through the same matching and deciding as a run, against the clusters they truly form.

The first delivery holds all offers but those of held-out clusters; those arrive in a second one, when everything else is decided, as new
products do. Nothing of a held-out cluster is learned from.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.infer import find_facts, learn_known
from endcap.learn.choose import choose
from endcap.learn.evaluate.figures import cost
from endcap.learn.evaluate.memory import MemoryCatalog, catalog_of
from endcap.learn.evaluate.tables import TITLES, offer_of, read_csv
from endcap.match import Model, fit_labelled, match_offers, rescore
from endcap.problems import BadInput
from endcap.schema import arrow_schema

# With few sources the links between each two of them are counted by themselves.
FEW_SOURCES = 5


@dataclass(frozen=True)
class Offers:
    """One CSV of offers with the cluster and the source of each, in the order of offer ids."""

    table: pa.Table  # schema Offer
    clusters: np.ndarray  # object [n]
    held_out: np.ndarray  # bool [n]


def evaluate_cluster(
    file: Path, *, truth: str = "cluster_id", source: str = "merchant_id", hide: Sequence[str] = (), labels: str | int = "none",
    holdout: float = 0.2, seed: int = 7,
) -> dict[str, Any]:  # fmt: skip
    """Cluster the offers of one CSV and count against the truth.

    {dataset, labels, offers, sources, true_clusters, products, to_review, pairwise and b_cubed precision, recall, f1, new_found (share of
    held-out offers that were linked to no product of other clusters, and wait for nobody), links (by pair of sources where there are at most
    FEW_SOURCES), cpu_s, peak_mb}. Offers that wait for a person stand alone. `labels`: 'none', or how many pairs of offers delivered first
    are answered by the truth, chosen as a reviewer would be asked. Raises BadInput where a column is missing.
    """
    clock = time.process_time()
    offers = read_offers(file, truth, source, hide, holdout)
    catalog = catalog_of(offers.table)
    ids = np.array(offers.table["offer_id"].to_pylist(), dtype=object)
    cluster_of = dict(zip(ids.tolist(), offers.clusters.tolist(), strict=True))
    known = learn_known(offers.table.filter(pa.array(~offers.held_out)), None, seed=seed)
    memory = MemoryCatalog(catalog, find_facts(offers.table, known, run=1))
    first = offers.table.filter(pa.array(~offers.held_out))
    matched = match_offers(first, first["offer_id"].combine_chunks(), matching=catalog.matching, model=None, run=1)
    pairs, model = matched.pairs, matched.model
    if labels != "none":
        model = _taught(pairs, model, cluster_of, _count(labels), seed)
        pairs = rescore(pairs, model)
    decided = _products(memory.decide(first, pairs, first["offer_id"].combine_chunks(), model.model_id))
    if offers.held_out.any():
        late = offers.table.filter(pa.array(offers.held_out))["offer_id"].combine_chunks()
        more = match_offers(offers.table, late, matching=catalog.matching, model=model, run=2).pairs
        decided = _products(memory.decide(offers.table, more, late, model.model_id))
    product_of = {offer_id: product or f"alone {offer_id}" for offer_id, product in decided.items()}
    products = np.array([product_of[offer_id] for offer_id in ids.tolist()], dtype=object)
    figures: dict[str, Any] = {
        "dataset": file.parent.name, "labels": labels, "offers": len(ids), "sources": len(catalog.feeds), "true_clusters": len(set(offers.clusters.tolist())),
        "products": len({product for product in decided.values() if product}), "to_review": sum(product is None for product in decided.values()),
        **{f"pairwise_{name}": value for name, value in pairwise(products, offers.clusters).items()},
        **{f"b_cubed_{name}": value for name, value in b_cubed(products, offers.clusters).items()},
        "new_found": _new_found(offers, ids, decided),
    }  # fmt: skip
    feeds = np.array(offers.table["feed"].to_pylist(), dtype=object)
    if len(catalog.feeds) <= FEW_SOURCES:
        figures["links"] = links_between(products, offers.clusters, feeds)
    return {**figures, **cost(clock)}


def pairwise(products: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 over all pairs of offers said to be one product."""
    said, true = _pairs_in(Counter(products.tolist())), _pairs_in(Counter(clusters.tolist()))
    both = _pairs_in(Counter(zip(products.tolist(), clusters.tolist(), strict=True)))
    return _f1(both / max(said, 1), both / max(true, 1))


def b_cubed(products: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1 as means over offers (Bagga and Baldwin 1998)."""
    size, true = Counter(products.tolist()), Counter(clusters.tolist())
    both = Counter(zip(products.tolist(), clusters.tolist(), strict=True))
    total = max(len(products), 1)
    precision = sum(count * count / size[product] for (product, _), count in both.items()) / total
    recall = sum(count * count / true[cluster] for (_, cluster), count in both.items()) / total
    return _f1(precision, recall)


def links_between(products: np.ndarray, clusters: np.ndarray, feeds: np.ndarray) -> dict[str, dict[str, float]]:
    """For each two sources, precision, recall and F1 of the pairs with one offer of each."""
    found = {}
    names = sorted(set(feeds.tolist()))
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            sides = [feeds == one, feeds == other]
            said, true, both = (
                _across(*(Counter(keys[side].tolist()) for side in sides))
                for keys in (products, clusters, np.array([f"{a}\x1f{b}" for a, b in zip(products.tolist(), clusters.tolist(), strict=True)], dtype=object))
            )
            found[f"{one} - {other}"] = _f1(both / max(said, 1), both / max(true, 1))
    return found


def _across(left: Counter[str], right: Counter[str]) -> int:
    return sum(count * right[key] for key, count in left.items())


def _pairs_in(counts: Counter[Any]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())


def _f1(precision: float, recall: float) -> dict[str, float]:
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12)}


def _new_found(offers: Offers, ids: np.ndarray, decided: dict[str, str | None]) -> float:
    """Share of held-out offers whose product holds no offer of another cluster that came first; waiting is not found."""
    taken = {decided[offer_id] for offer_id in ids[~offers.held_out].tolist() if decided[offer_id]}
    late = ids[offers.held_out].tolist()
    return float(np.mean([decided[offer_id] is not None and decided[offer_id] not in taken for offer_id in late])) if late else 1.0


def _taught(pairs: pa.Table, model: Model, cluster_of: dict[str, str], count: int, seed: int) -> Model:
    """The model after `count` answers about pairs of offers, by the truth."""
    features = np.asarray(pc.list_flatten(pairs["features"]).to_numpy(), dtype=np.float32).reshape(pairs.num_rows, -1)
    sides = zip(pairs["left_id"].to_pylist(), pairs["right_id"].to_pylist(), strict=True)
    same = np.array([cluster_of[left] == cluster_of[right] for left, right in sides], dtype=np.float64)
    asked = np.sort(choose(features, lambda places: same[places], count, base=model, seed=seed))
    return fit_labelled(features[asked], same[asked], seed=seed, base=model)


def _products(decisions: pa.Table) -> dict[str, str | None]:
    """The product of every offer decided so far, None where it waits."""
    return dict(zip(decisions["offer_id"].to_pylist(), decisions["product_id"].to_pylist(), strict=True))


def read_offers(file: Path, truth: str, source: str, hide: Sequence[str], holdout: float) -> Offers:
    if not file.is_file():
        raise BadInput("there is no such file", where=str(file), todo="name one CSV file of offers")
    rows = read_csv(file, ((truth,), (source,), TITLES))
    hidden = {truth, source, *hide, "id"}
    offers, clusters = [], []
    for position, row in enumerate(rows, start=1):
        shown = {name: value for name, value in row.items() if name not in hidden}
        offers.append(offer_of({**shown, "id": f"{position:08d}"}, row[source], position))
        clusters.append(row[truth])
    table = pa.Table.from_pylist(offers, schema=arrow_schema(schema.Offer))
    order = np.asarray(pc.sort_indices(table["offer_id"]).to_numpy())
    named = np.array(clusters, dtype=object)[order]
    held = np.array([int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:4], "big") / 2**32 < holdout for name in named.tolist()], dtype=bool)
    return Offers(table.take(pa.array(order)), named, held)


def _count(labels: str | int) -> int:
    if not str(labels).isdecimal() or int(labels) < 1:
        raise BadInput(f"cluster knows no labels {labels!r}", where="--labels", todo="give none or a number")
    return int(labels)
