"""Measure matching on labelled folders of your own, through the same tokens, index, features and scorer as a run.

A folder holds left.csv and right.csv (id, name or title, and any of description, manufacturer or brand, price; other text
columns join the description), and train/valid/test.csv (ltable_id, rtable_id, label) or matches.csv (all true pairs).
"""

from __future__ import annotations

import csv
import hashlib
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match.block import find_candidates
from endcap.match.matching import Catalog, asked_rows, candidate_pairs, compute_features, fit_catalog, read_catalog
from endcap.match.pairs import Pairs
from endcap.match.score import Model, feature_names, fit_labelled
from endcap.problems import BadInput
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

TITLES, BRANDS, PRICES = ("title", "name"), ("brand", "manufacturer"), ("price",)
KEYS = ("id", "gtin", "mpn", "cluster_id", "label")
# Without labels the scorer's probability decides: more likely the same than not.
FIXED_THRESHOLD = 0.5
# Fewer labels than this say too little about a threshold.
THRESHOLD_LABELS = 500
LEARNING_SHARE = 70
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Tables:
    """The two tables as one catalog of two feeds."""

    name: str
    offers: pa.Table
    catalog: Catalog
    row_of: dict[str, int]  # offer id -> row

    def rows(self, pairs: Sequence[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of pairs of (left id, right id)."""
        left = np.array([self.row_of[f"left:{one}"] for one, _ in pairs], dtype=np.int64)
        right = np.array([self.row_of[f"right:{other}"] for _, other in pairs], dtype=np.int64)
        return left, right

    def side(self, feed: str) -> np.ndarray:
        """Rows of one table."""
        return np.array([row for offer_id, row in self.row_of.items() if offer_id.startswith(f"{feed}:")], dtype=np.int32)


@dataclass(frozen=True)
class Labelled:
    """Pairs of (left id, right id) with 1 = the same product."""

    pairs: list[tuple[str, str]]
    labels: np.ndarray


def evaluate_block(folder: Path, *, k: int = 10, direction: str = "left") -> dict[str, Any]:
    """The share of true matches among the candidates: {dataset, k, direction, recall, candidates, matches, cpu_s, peak_mb}.

    'left': k candidates of each left record; 'both': of each right record too, united. True matches are matches.csv, else
    the positive pairs of all splits. Raises BadInput on a folder of another shape.
    """
    if direction not in ("left", "both"):
        raise BadInput(f"there is no direction {direction!r}", where="--direction", todo="give left or both")
    clock = time.process_time()
    tables = _read_tables(folder)
    truth = _read_matches(folder, tables)
    asked = tables.side("left") if direction == "left" else np.arange(tables.catalog.index.size, dtype=np.int32)
    graph = find_candidates(tables.catalog.index, np.sort(asked), k)
    edges = np.stack([np.repeat(graph.rows, k), graph.near.ravel()], axis=1)
    found = {(int(a), int(b)) for a, b in np.sort(edges[edges[:, 1] >= 0], axis=1)}
    hits = sum((int(min(a, b)), int(max(a, b))) in found for a, b in zip(*tables.rows(truth), strict=True))
    figures = {"dataset": tables.name, "k": k, "direction": direction, "recall": hits / max(len(truth), 1), "candidates": len(found), "matches": len(truth)}
    return {**figures, **_cost(clock)}


def evaluate_match(folder: Path, *, labels: str | int = "all", seed: int = 7) -> dict[str, Any]:
    """Classify the pairs of test.csv: {dataset, labels, precision, recall, f1, threshold, threshold_from, pairs, cpu_s, peak_mb}.

    labels 'all' learns from train and chooses the threshold on valid; 'none' sees no label; a number learns from that many
    pairs of train and valid drawn by seed, and from THRESHOLD_LABELS on chooses the threshold among them by cross-fitting. The two tables are the
    context; labels of test are only counted. Raises BadInput on a folder of another shape.
    """
    clock = time.process_time()
    tables = _read_tables(folder)
    given = {split: _read_split(folder, split, tables) for split in SPLITS}
    matching = Matching.model_validate({"seed": seed})
    base = fit_catalog(tables.catalog, matching)
    features = {split: _pair_features(tables, given[split].pairs, matching) for split in SPLITS}
    model, threshold, source = base, FIXED_THRESHOLD, "fixed"
    if labels == "all":
        model = fit_labelled(features["train"], given["train"].labels, seed=seed, base=base)
        threshold, source = best_threshold(model.score(features["valid"]), given["valid"].labels), "valid"
    elif labels != "none":
        known = np.concatenate([given["train"].labels, given["valid"].labels])
        model, threshold, source = _fit_few(np.concatenate([features["train"], features["valid"]]), known, _count(labels), seed, base)
    predicted = model.score(features["test"]) >= threshold
    quality = _quality(predicted, given["test"].labels == 1, int((given["test"].labels == 1).sum()))
    head = {"dataset": tables.name, "labels": labels, **quality, "threshold": threshold, "threshold_from": source}
    return {**head, "pairs": len(given["test"].pairs), **_cost(clock)}


def evaluate_link(folder: Path, *, labels: str = "none", seed: int = 7) -> dict[str, Any]:
    """Two raw tables to matched pairs: the keys of `evaluate_match` and candidate_recall, against all true pairs.

    labels 'none': all records are scored and a fixed threshold decides; 'all': the pairs of 70 % of the left records (by
    hash) are learned from, the threshold is chosen there by cross-fitting, and the rest is scored. One product per offer:
    pairs are taken from the best score down while both records are free. Raises BadInput on a folder of another shape.
    """
    if labels not in ("none", "all"):
        raise BadInput(f"link knows no labels {labels!r}", where="--labels", todo="give all or none")
    clock = time.process_time()
    tables = _read_tables(folder)
    truth = set(zip(*(rows.tolist() for rows in tables.rows(_read_matches(folder, tables))), strict=True))
    matching = Matching.model_validate({"seed": seed})
    rows = asked_rows(tables.catalog, tables.catalog.offer_ids.combine_chunks())
    graph = find_candidates(tables.catalog.index, rows, matching.candidates)
    pairs = candidate_pairs(tables.catalog, graph, rows, matching.candidates)
    features = compute_features(pairs, feature_names())
    same = np.array([pair in truth for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)])
    scored = np.ones(pairs.size, dtype=bool)
    model, threshold, source = fit_catalog(tables.catalog, matching, graph), FIXED_THRESHOLD, "fixed"
    if labels == "all":
        learning = _learning_rows(tables)
        scored = ~learning[pairs.left]
        groups = pairs.left[~scored]
        threshold = _cross_fitted_threshold(features[~scored], same[~scored], seed, model, groups)
        model, source = fit_labelled(features[~scored], same[~scored], seed=seed, base=model), "valid"
        truth = {pair for pair in truth if not learning[pair[0]]}
    scores = np.where(scored, model.score(features), 0.0)
    taken = one_to_one(pairs, scores, threshold)
    quality = _quality(taken, same, len(truth))
    reached = int((same & scored).sum()) / max(len(truth), 1)
    head = {"dataset": tables.name, "labels": labels, **quality, "threshold": threshold, "threshold_from": source}
    return {**head, "pairs": int(scored.sum()), "candidate_recall": reached, **_cost(clock)}


def one_to_one(pairs: Pairs, scores: np.ndarray, threshold: float) -> np.ndarray:
    """bool [n]: pairs at or above the threshold, from the best score down, while both records are free; ties to the earlier pair."""
    taken = np.zeros(pairs.size, dtype=bool)
    used: set[int] = set()
    for place in np.argsort(-scores, kind="stable"):
        if scores[place] < threshold:
            break
        left, right = int(pairs.left[place]), int(pairs.right[place])
        if left not in used and right not in used:
            used |= {left, right}
            taken[place] = True
    return taken


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the best F1, half way between two scores; 0.5 where nothing is to be found."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order] == 1)
    if hits.size == 0 or hits[-1] == 0:
        return FIXED_THRESHOLD
    f1 = 2 * hits / (np.arange(1, ranked.size + 1) + hits[-1])
    last_of_equal = np.append(ranked[1:] != ranked[:-1], True)
    best = int(np.argmax(np.where(last_of_equal, f1, -1)))
    below = float(ranked[best + 1]) if best + 1 < ranked.size else 0.0
    return (float(ranked[best]) + below) / 2


def _fit_few(features: np.ndarray, labels: np.ndarray, count: int, seed: int, base: Model) -> tuple[Model, float, str]:
    """(model, threshold, where it came from) from `count` labels drawn by seed."""
    chosen = np.sort(np.random.default_rng(seed).permutation(labels.size)[:count])
    features, labels = features[chosen], labels[chosen]
    model = fit_labelled(features, labels, seed=seed, base=base)
    if labels.size < THRESHOLD_LABELS:
        return model, FIXED_THRESHOLD, "fixed"
    return model, _cross_fitted_threshold(features, labels, seed, base, np.arange(labels.size)), "valid"


def _cross_fitted_threshold(features: np.ndarray, labels: np.ndarray, seed: int, base: Model, groups: np.ndarray, folds: int = 3) -> float:
    """The best threshold on scores of models that have not seen the pair's group."""
    known = np.unique(groups)
    fold_of = dict(zip(known.tolist(), (np.random.default_rng(seed).permutation(known.size) % folds).tolist(), strict=True))
    fold = np.array([fold_of[group] for group in groups.tolist()])
    scores = np.zeros(labels.size)
    for number in range(folds):
        seen, unseen = fold != number, fold == number
        if labels[seen].size == 0 or labels[seen].min() == labels[seen].max():
            return FIXED_THRESHOLD
        scores[unseen] = fit_labelled(features[seen], labels[seen], seed=seed, base=base).score(features[unseen])
    return best_threshold(scores, labels)


def _pair_features(tables: Tables, pairs: list[tuple[str, str]], matching: Matching) -> np.ndarray:
    """Features of given pairs, whether they are candidates or not."""
    left, right = tables.rows(pairs)
    rows = np.unique(np.concatenate([left, right])).astype(np.int32)
    graph = find_candidates(tables.catalog.index, rows, matching.candidates)
    return compute_features(Pairs(tables.catalog.index, graph, tables.catalog.titles, left, right), feature_names())


def _learning_rows(tables: Tables) -> np.ndarray:
    """bool by row: left records whose pairs may be learned from, by hash of the id."""
    learning = np.zeros(tables.catalog.index.size, dtype=bool)
    for offer_id, row in tables.row_of.items():
        learning[row] = int.from_bytes(hashlib.sha256(offer_id.encode()).digest()[:4], "big") % 100 < LEARNING_SHARE
    return learning


def _count(labels: str | int) -> int:
    try:
        count = int(labels)
    except ValueError:
        count = 0
    if count < 1:
        raise BadInput(f"match knows no labels {labels!r}", where="--labels", todo="give all, none or a number")
    return count


def _quality(predicted: np.ndarray, same: np.ndarray, matches: int) -> dict[str, float]:
    hits, found = int((predicted & same).sum()), int(predicted.sum())
    precision, recall = hits / max(found, 1), hits / max(matches, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-12)}


def _cost(clock: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_s": round(time.process_time() - clock, 3), "peak_mb": round(peak if sys.platform != "darwin" else peak / 1024, 1)}


def _read_tables(folder: Path) -> Tables:
    if not folder.is_dir():
        raise BadInput("there is no such folder", where=str(folder), todo="name a folder with left.csv and right.csv")
    rows = [row for feed in ("left", "right") for row in _read_offers(folder / f"{feed}.csv", feed)]
    offers = pa.Table.from_pylist(rows, schema=arrow_schema(Offer)).sort_by("offer_id")
    catalog = read_catalog(offers, None)
    row_of = {offer_id: row for row, offer_id in enumerate(map(str, offers["offer_id"].to_pylist()))}
    return Tables(folder.name, offers, catalog, row_of)


def _read_csv(file: Path, needed: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Rows of a CSV file; each of `needed` names columns of which one must be there."""
    csv.field_size_limit(10_000_000)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [{name: value or "" for name, value in row.items() if name is not None and not isinstance(value, list)} for row in reader]
            known = reader.fieldnames or []
    except FileNotFoundError:
        raise BadInput(f"the folder has no {file.name}", where=str(file.parent), todo="see docs/evaluate.md for the shapes of folders") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file.name} is not a readable UTF-8 CSV file: {error}", where=str(file.parent), todo="save it as UTF-8 with commas") from None
    missing = [" or ".join(names) for names in needed if not set(names) & set(known)]
    if missing:
        raise BadInput(f"{file.name} has no column {', '.join(missing)}", where=str(file.parent), todo="add or rename the column")
    return rows


def _read_offers(file: Path, feed: str) -> list[dict[str, Any]]:
    offers: dict[str, dict[str, Any]] = {}
    for position, row in enumerate(_read_csv(file, (("id",), TITLES)), start=1):
        if row["id"] in offers:
            raise BadInput(f"{file.name} has the id {row['id']!r} twice", where=f"row {position}", todo="give each record its own id")
        offers[row["id"]] = _offer(row, feed, position)
    return list(offers.values())


def _offer(row: dict[str, str], feed: str, position: int) -> dict[str, Any]:
    named = {*TITLES, *BRANDS, *PRICES, *KEYS, "description", "priceCurrency", "currency"}
    rest = [value for name, value in row.items() if name not in named and value]
    empty: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    title = next((row[name] for name in TITLES if row.get(name)), "")
    return {
        **empty, "offer_id": f"{feed}:{row['id']}", "feed": feed, "supplier": feed, "source_id": row["id"], "title": title,
        "brand": next((row[name] for name in BRANDS if row.get(name)), None),
        "description": " ".join([row.get("description", ""), *rest]).strip() or None,
        "mpn": row.get("mpn") or None, "gtin": _gtin(row.get("gtin", "")),
        "price": _price(row.get("price", "")), "currency": row.get("currency") or row.get("priceCurrency") or None,
        "delivery_id": feed, "position": position, "raw_hash": 0, "identity_hash": position, "run": 0, "gone": False,
    }  # fmt: skip


def _gtin(text: str) -> str | None:
    return text.zfill(14) if text.isdecimal() and 8 <= len(text) <= 14 and int(text) else None


def _price(text: str) -> Decimal | None:
    try:
        price = Decimal(text.strip().lstrip("$€£").replace(",", "")).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None
    return price if price.is_finite() and abs(price) < 10**12 else None


def _read_pairs(file: Path, tables: Tables, needed: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    rows = _read_csv(file, needed)
    for number, row in enumerate(rows, start=1):
        for feed, name in (("left", "ltable_id"), ("right", "rtable_id")):
            if f"{feed}:{row[name]}" not in tables.row_of:
                raise BadInput(f"{file.name} names a record {row[name]!r} that {feed}.csv does not have", where=f"row {number}", todo="correct the id")
    return rows


def _read_split(folder: Path, split: str, tables: Tables) -> Labelled:
    rows = _read_pairs(folder / f"{split}.csv", tables, (("ltable_id",), ("rtable_id",), ("label",)))
    wrong = next((row["label"] for row in rows if row["label"] not in ("0", "1")), None)
    if wrong is not None:
        raise BadInput(f"{split}.csv has the label {wrong!r}", where=str(folder), todo="labels are 0 or 1")
    return Labelled([(row["ltable_id"], row["rtable_id"]) for row in rows], np.array([int(row["label"]) for row in rows], dtype=np.float64))


def _read_matches(folder: Path, tables: Tables) -> list[tuple[str, str]]:
    if (folder / "matches.csv").exists():
        rows = _read_pairs(folder / "matches.csv", tables, (("ltable_id",), ("rtable_id",)))
        return sorted({(row["ltable_id"], row["rtable_id"]) for row in rows})
    given = [_read_split(folder, split, tables) for split in SPLITS]
    return sorted({pair for split in given for pair, label in zip(split.pairs, split.labels, strict=True) if label == 1})
