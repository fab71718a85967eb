"""Train a challenger for matching from labels, and judge it beside the champion on labels it has not seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.lake.tables import table_of
from endcap.learn.crossing import cross_fitted_scores
from endcap.learn.labels import labels_from_overrides
from endcap.match import Model, fit_labelled, fit_stacked
from endcap.match.block import find_candidates
from endcap.match.matching import candidate_pairs, compute_features, places_of, read_catalog
from endcap.match.score import STACK_LABELS
from endcap.match.tokens import COLUMNS
from endcap.ops.home import Home, snapshot_id_of
from endcap.problems import BadInput
from endcap.settings import Matching

MATCHED = tuple(dict.fromkeys((*COLUMNS, "feed", "price", "currency")))
MIN_LABELS = 20
MIN_EACH = 3
BETTER = "better on these answers"
FOLDS = 5
# Answers are about doubtful pairs only. The champion's surest pairs, lightly weighted, keep what is easy from being forgotten.
SURE, SURE_WEIGHT, SURE_PER_LABEL = 0.02, 0.25, 20

_LABELLED = """
    SELECT p.left_id, p.right_id, p.features, p.score, l.same, l.weight FROM labels_now l JOIN pairs p USING (left_id, right_id)
    ORDER BY p.left_id, p.right_id, l.source_id
"""
# Labels that are new, and those whose answer was undone since.
_CHANGED = """
    SELECT * FROM labels_now ANTI JOIN labels USING (left_id, right_id, source, source_id)
    UNION ALL SELECT * REPLACE ({run} AS run, true AS gone) FROM labels ANTI JOIN labels_now USING (left_id, right_id, source, source_id) WHERE run < {run}
    ORDER BY ALL
"""
_SURE = f"""
    SELECT p.left_id, p.right_id, p.features, p.score > 0.5 AS same FROM pairs p ANTI JOIN labels_now l USING (left_id, right_id)
    WHERE p.conflict IS NULL AND (p.score < {SURE} OR p.score > 1 - {SURE})
    ORDER BY hash(p.left_id || p.right_id || $seed), p.left_id, p.right_id LIMIT $wanted
"""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A challenger that was trained and stored; it decides nothing until it is promoted."""

    model_id: str
    champion: str
    labels: int
    figures: dict[str, Any]
    verdict: str

    @property
    def better(self) -> bool:
        return self.verdict == BETTER

    def summary(self) -> str:
        figures = self.figures
        advice = "it can be accepted, validated and promoted" if self.better else "more answers help more than promoting it"
        return (
            f"challenger {self.model_id} from {self.labels} answers: right on {figures['challenger_right']} of {figures['n']} it had not seen, "
            f"the champion {self.champion} on {figures['champion_right']}; {self.verdict}; {advice}"
        )


def train(home: Home, *, seed: int) -> TrainResult:
    """Fit a challenger on the labels of all standing overrides and store it with its trial.

    Raises BadInput where there is no champion yet or there are too few answers, saying how many are missing.
    """
    manifest = home.manifest()
    champion_id = home.champion("match") or manifest.models.get("match")
    if champion_id is None:
        raise BadInput("there is nothing to improve yet", where=str(home.path), todo="run `endcap run` first")
    champion = Model.stored(home.model_folder(champion_id), champion_id)
    lake = home.lake()
    with home.connect() as con:
        labels = labels_from_overrides(con, manifest.run)
        con.register("labels_now", labels)
        changed = con.sql(_CHANGED.format(run=manifest.run)).to_arrow_table()
        labelled = con.sql(_LABELLED).to_arrow_table()
        _check_enough(labelled, labels.num_rows, home.path)
        sure = con.sql(_SURE, params={"seed": str(seed), "wanted": SURE_PER_LABEL * labelled.num_rows}).to_arrow_table()
        offers = con.sql(f"SELECT {', '.join(MATCHED)} FROM offers ORDER BY offer_id").to_arrow_table() if labelled.num_rows >= STACK_LABELS else None
    same, weights = _booleans(labelled, "same"), labelled["weight"].to_numpy()
    if offers is not None:
        challenger, scores = _fit_many(offers, labelled, sure, champion, home.catalog.matching, seed)
    else:
        features = _matrix(labelled, champion)
        challenger, scores = _fit(features, same, weights, sure, champion, seed), _scores(features, same, weights, sure, champion, seed)
    challenger.save(home.model_folder(challenger.model_id))
    figures = _figures(scores, champion.score(_matrix(labelled)), same, sure.num_rows)
    verdict = _verdict(figures)
    trial = schema.Trial(
        trial_id=f"{challenger.model_id}@{manifest.content_hash[:12]}", challenger=challenger.model_id, champion=champion_id, labels=labels.num_rows,
        data_version=snapshot_id_of(manifest), figures_json=json.dumps(figures, sort_keys=True), verdict=verdict, run=manifest.run, gone=False,
    )  # fmt: skip
    lake.append(schema.Label, changed)
    if not lake.current(schema.Trial, f"trial_id = '{trial.trial_id}'").num_rows:
        lake.append(schema.Trial, table_of(schema.Trial, [trial]))
    home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))
    return TrainResult(challenger.model_id, champion_id, labels.num_rows, figures, verdict)


def _check_enough(labelled: pa.Table, answers: int, path: Path) -> None:
    yes = int(_booleans(labelled, "same").sum())
    no = labelled.num_rows - yes
    missing = max(MIN_LABELS - labelled.num_rows, 0)
    if missing or min(yes, no) < MIN_EACH:
        more = f"{missing} more answers" if missing else f"answers of both kinds (at least {MIN_EACH} of each)"
        raise BadInput(
            f"too few answers to learn from: {yes} 'same' and {no} 'different' usable out of {answers}", where=str(path),
            todo=f"give {more} with `endcap review`",
        )  # fmt: skip


def _matrix(table: pa.Table, model: Model | None = None) -> np.ndarray:
    """Stored features float32 [n, f]; with a model only those of the shelf, which learned columns stand behind."""
    flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    features: np.ndarray = flat.astype(np.float32).reshape(table.num_rows, -1) if table.num_rows else np.zeros((0, 0), np.float32)
    return features[:, : len(model.shelf_names)] if model else features


def _booleans(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].to_pylist(), dtype=bool)


def _fit(features: np.ndarray, same: np.ndarray, weights: np.ndarray, sure: pa.Table, champion: Model, seed: int) -> Model:
    if sure.num_rows:
        features = np.vstack([features, _matrix(sure, champion)])
        same = np.concatenate([same, _booleans(sure, "same")])
        weights = np.concatenate([weights, np.full(sure.num_rows, SURE_WEIGHT)])
    return fit_labelled(features, same, weights, seed=seed, base=champion)


def _fit_many(offers: pa.Table, labelled: pa.Table, sure: pa.Table, champion: Model, matching: Matching, seed: int) -> tuple[Model, np.ndarray]:
    """(challenger with learned columns, its scores of the labelled pairs by models that have not seen their product).

    The champion's surest pairs stand beside the answers here too; what they say is learned from lightly and no product is remembered by it.
    """
    told = pa.concat_tables([table.select(["left_id", "right_id", "same"]) for table in (labelled, sure)])
    same = _booleans(told, "same").astype(np.float64)
    weights = np.concatenate([labelled["weight"].to_numpy(), np.full(sure.num_rows, SURE_WEIGHT)])
    catalog = read_catalog(offers)
    sides = [np.asarray(pc.index_in(told[name], value_set=catalog.offer_ids).to_numpy(), dtype=np.int64) for name in ("left_id", "right_id")]
    held = np.sort(np.stack(sides, axis=1), axis=1)
    rows = np.unique(held).astype(np.int32)
    pairs = candidate_pairs(catalog, find_candidates(catalog.index, rows, matching.candidates), rows, matching.candidates, held)
    places = places_of(pairs, held)
    model, columns = fit_stacked(pairs, compute_features(pairs, champion.shelf_names), places, same, weights, seed=seed, base=champion)
    scores = cross_fitted_scores(model, columns[places], same, np.asarray(pairs.left)[places], seed=seed, weights=weights)
    return model, scores[: labelled.num_rows]


def _scores(features: np.ndarray, same: np.ndarray, weights: np.ndarray, sure: pa.Table, champion: Model, seed: int) -> np.ndarray:
    """Out-of-fold: each answer is judged by a model that has not seen it."""
    folds = np.random.default_rng(seed).permutation(len(same)) % FOLDS
    scores = np.zeros(len(same))
    for fold in range(FOLDS):
        held = folds == fold
        if held.any():
            scores[held] = _fit(features[~held], same[~held], weights[~held], sure, champion, seed).score(features[held])
    return scores


def _figures(scores: np.ndarray, champion_scores: np.ndarray, same: np.ndarray, sure_pairs: int) -> dict[str, Any]:
    """How often challenger and champion are right on the same answers."""
    return {
        "n": len(same), "same": int(same.sum()), "sure_pairs": sure_pairs, "folds": FOLDS,
        "challenger_right": int(((scores >= 0.5) == same).sum()), "champion_right": int(((champion_scores >= 0.5) == same).sum()),
        "challenger_brier": round(float(np.mean((scores - same) ** 2)), 4), "champion_brier": round(float(np.mean((champion_scores - same) ** 2)), 4),
    }  # fmt: skip


def _verdict(figures: dict[str, Any]) -> str:
    better = figures["challenger_brier"] < figures["champion_brier"] and figures["challenger_right"] >= figures["champion_right"]
    return BETTER if better else "not better on these answers"
