"""Train a challenger from labels, and judge it beside the champion on answers about products that it has not seen.

A challenger for matching (this file) corrects the trees that were fitted without labels, each label counting by how far it can be trusted;
those for categories and attributes are in learn/train_known.py. None decides anything before it is promoted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.decide.in_force import at_snapshot
from endcap.lake import Manifest
from endcap.lake.tables import table_of
from endcap.learn import calibration
from endcap.learn.crossing import scores_by_folds
from endcap.learn.labels import hold_flagged, labels_now, taught
from endcap.learn.splits import Groups, Ties, by_time, folds_of, groups_of, read_ties, refuse_leaks, sides_of
from endcap.learn.train_known import train_known
from endcap.match import Model, fit_labelled, fit_stacked, with_first_columns
from endcap.match.block import find_candidates
from endcap.match.live import live_in
from endcap.match.matching import candidate_pairs, candidates_of, first_features, places_of, read_catalog
from endcap.match.score import STACK_LABELS, refit
from endcap.match.tokens import COLUMNS
from endcap.ops.home import Home, snapshot_id_of
from endcap.problems import BadInput
from endcap.settings import Catalog

MATCHED = tuple(dict.fromkeys((*COLUMNS, "feed", "price", "currency")))
KINDS = ("match", "category", "attributes", "known", "all")
MIN_LABELS = 20
# Answers of one category that judge, from which on its own figures are told.
LEAST_OF_CATEGORY = 10
MIN_EACH = 3
BETTER, NOT_BETTER = "better on these answers", "not better on these answers"
FOLDS = 5
FOLDS_OF_MANY = 3  # with learned columns, whose trees are dearer
# Answers are about doubtful pairs only. The champion's surest pairs, lightly weighted, keep what is easy from being forgotten.
SURE, SURE_WEIGHT, SURE_PER_LABEL, MOST_SURE = 0.02, 0.25, 20, 20_000
# An answer that models of other products are this sure to be wrong about counts this little: some answers are slips.
SLIP, SLIP_WEIGHT = 0.05, 0.2

_TAUGHT = 'SELECT p.left_id, p.right_id, p.features, t.same, t.weight, t."at", t.people FROM taught t JOIN pairs p USING (left_id, right_id) ORDER BY ALL'
# Labels that are new, and those that hold no longer. What this run wrote already is not written again: a key has one row a run.
_CHANGED = """
    SELECT * FROM labels_now ANTI JOIN labels USING (left_id, right_id, source, source_id)
    UNION ALL
    SELECT n.* FROM labels_now n JOIN labels l USING (left_id, right_id, source, source_id) WHERE l.run < {run} AND abs(n.weight - l.weight) > 0.005
    UNION ALL
    SELECT * REPLACE ({run} AS run, true AS gone) FROM labels ANTI JOIN labels_now USING (left_id, right_id, source, source_id) WHERE run < {run}
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
    kind: str = "match"  # of artefact: match | infer

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


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a challenger for matching learns from: labelled pairs with features, how they may be split, and the champion's surest pairs."""

    pairs: pa.Table
    features: np.ndarray
    same: np.ndarray
    weights: np.ndarray
    groups: Groups
    ties: Ties
    sure: pa.Table

    @property
    def people(self) -> np.ndarray:
        """Places of the labels of people and gold sets; only these judge."""
        return np.flatnonzero(_booleans(self.pairs, "people"))


def train(home: Home, *, seed: int, what: str = "match") -> TrainResult:
    """Fit a challenger on all labels that teach and store it with its trial; `what` is match, category, attributes or (both of these) known.

    Raises BadInput where there is no champion yet or there are too few answers, saying how many are missing.
    """
    hold_flagged(home)
    manifest = home.manifest()
    if not manifest.run:
        raise BadInput("there is nothing to improve yet", where=str(home.path), todo="run `endcap run` first")
    if what == "match":
        return _train_match(home, manifest, seed)
    found = train_known(home, manifest, seed=seed, what=what)
    verdict = BETTER if found.figures["challenger_right"] > found.figures["champion_right"] else NOT_BETTER
    _store(home, manifest, found.known_id, found.champion, found.answers, found.figures, verdict)
    return TrainResult(found.known_id, found.champion, found.answers, found.figures, verdict, kind="infer")


def train_all(home: Home, *, seed: int, what: str = "all") -> tuple[list[TrainResult], list[str]]:
    """(challengers of every kind that there are answers for, why there is none of the others). Raises BadInput where there is none at all."""
    if what not in KINDS:
        raise BadInput(f"nothing is called {what!r} that could be trained", where="--what", todo=f"use {', '.join(KINDS)}")
    if what != "all":
        return [train(home, seed=seed, what=what)], []
    results, missing = [], []
    for kind in ("match", "known"):
        try:
            results.append(train(home, seed=seed, what=kind))
        except BadInput as problem:
            missing.append(problem)
    if not results:
        raise missing[0]
    return results, [f"{problem.what}; {problem.todo}" for problem in missing]


def _train_match(home: Home, manifest: Manifest, seed: int) -> TrainResult:
    champion_id = home.champion("match") or manifest.models.get("match")
    if champion_id is None:
        raise BadInput("there is nothing to improve yet", where=str(home.path), todo="run `endcap run` first")
    champion, catalog = Model.stored(home.model_folder(champion_id), champion_id), at_snapshot(home)
    with home.connect() as con:
        labels = labels_now(con, manifest.run)
        con.register("labels_now", labels)
        changed = con.sql(_CHANGED.format(run=manifest.run)).to_arrow_table()

        def shown(rows: pa.Table) -> pa.Table:
            """With the columns that labels may correct, whatever model wrote the rows."""
            return with_first_columns(rows, champion, lambda: live_in(con, catalog.policy.marketplaces), home.path / "cache")

        lessons = _lessons(con, labels, shown, manifest.run, seed, home.path)
        many = lessons.pairs.num_rows >= STACK_LABELS
        offers = con.sql(f"SELECT {', '.join(MATCHED)} FROM offers ORDER BY offer_id").to_arrow_table() if many else None
        audited = shown(calibration.audited_pairs(con))
        fitted = fit_challenger(lessons, champion, audited, seed) if offers is None else _fit_many(offers, lessons, champion, audited, catalog, seed)
        challenger = calibration.calibrated(fitted.model, fitted.audited, _booleans(audited, "same"))
        before = champion.score(lessons.features if champion.stack is None else features_of(lessons.pairs))
        figures = {**figures_of(lessons, fitted, before), "by_category": by_category(con, lessons, fitted, before)}
        figures |= calibration.figures_of(con, home.catalog.policy, audited, fitted.audited)
    challenger.save(home.model_folder(challenger.model_id))
    answers = sum(source in ("override", "second", "gold") for source in labels["source"].to_pylist())
    verdict = _verdict(figures)
    _store(home, manifest, challenger.model_id, champion_id, answers, figures, verdict, changed)
    return TrainResult(challenger.model_id, champion_id, answers, figures, verdict)


def _store(
    home: Home, manifest: Manifest, challenger: str, champion: str, answers: int, figures: dict[str, Any], verdict: str, labels: pa.Table | None = None
) -> None:
    """Append the trial, and the labels that changed, to the current snapshot."""
    lake = home.lake()
    trial = schema.Trial(
        trial_id=f"{challenger}@{manifest.content_hash[:12]}", challenger=challenger, champion=champion, labels=answers,
        data_version=snapshot_id_of(manifest), figures_json=json.dumps(figures, sort_keys=True), verdict=verdict, run=manifest.run, gone=False,
    )  # fmt: skip
    if labels is not None:
        lake.append(schema.Label, labels)
    if not lake.current(schema.Trial, f"trial_id = '{trial.trial_id}'").num_rows:
        lake.append(schema.Trial, table_of(schema.Trial, [trial]))
    home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))


def _lessons(con: duckdb.DuckDBPyConnection, labels: pa.Table, shown: Callable[[pa.Table], pa.Table], run: int, seed: int, where: Path) -> Lessons:
    con.register("taught", taught(labels))
    pairs = con.sql(_TAUGHT).to_arrow_table()
    _check_enough(pairs, sum(source != "shared_gtin" for source in labels["source"].to_pylist()), where)
    wanted = min(SURE_PER_LABEL * pairs.num_rows, MOST_SURE)
    sure = con.sql(_SURE, params={"seed": str(seed), "wanted": wanted}).to_arrow_table()
    named = pa.chunked_array([*pairs["left_id"].chunks, *pairs["right_id"].chunks], pa.string()).to_pylist()
    ties = read_ties(con, named, run)
    same = _booleans(pairs, "same")
    groups = groups_of(pairs["left_id"].to_pylist(), pairs["right_id"].to_pylist(), same.tolist(), ties)
    return Lessons(pairs, features_of(shown(pairs)), same, pairs["weight"].to_numpy(), groups, ties, shown(sure))


def _check_enough(pairs: pa.Table, answers: int, where: Path) -> None:
    told = pairs.filter(pairs["people"])
    yes = int(_booleans(told, "same").sum())
    no = told.num_rows - yes
    missing = max(MIN_LABELS - told.num_rows, 0)
    if missing or min(yes, no) < MIN_EACH:
        more = f"{missing} more answers" if missing else f"answers of both kinds (at least {MIN_EACH} of each)"
        raise BadInput(
            f"too few answers to learn from: {yes} 'same' and {no} 'different' usable out of {answers}", where=str(where),
            todo=f"give {more} with `endcap review`",
        )  # fmt: skip


def features_of(table: pa.Table) -> np.ndarray:
    """Features float32 [n, f] of pairs, as the table holds them."""
    flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    features: np.ndarray = flat.astype(np.float32).reshape(table.num_rows, -1) if table.num_rows else np.zeros((0, 0), np.float32)
    return features


def _booleans(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].to_pylist(), dtype=bool)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A challenger with what it says: of the labelled pairs by models that have not seen their products, and of audited pairs."""

    model: Model
    scores: np.ndarray
    judged: np.ndarray  # bool [n]: pairs that straddle two folds are judged by no model
    audited: np.ndarray
    newest: dict[str, int]  # how the newest answers are judged by what the older ones taught


def fit_challenger(lessons: Lessons, champion: Model, audited: pa.Table, seed: int) -> Fitted:
    """A challenger that corrects the trees without labels, from labels and the champion's surest pairs."""
    features, same, weights = _with_sure(lessons)
    labelled, base = lessons.same.size, champion.first
    folds = _folds(lessons, seed)
    scores, judged = scores_by_folds(base, features, same, _beside(folds, same.size), FOLDS, seed=seed, weights=weights)
    scores, judged = scores[:labelled], judged[:labelled]
    trusted = without_slips(weights[:labelled], scores, judged, lessons.same)
    challenger = fit_labelled(features, same, np.concatenate([trusted, weights[labelled:]]), seed=seed, base=champion)
    newest = _newest(lessons, features, same, weights, base, seed)
    told = challenger.score(features_of(audited)) if audited.num_rows else np.zeros(0)
    return Fitted(challenger, scores, judged, told, newest)


def without_slips(weights: np.ndarray, scores: np.ndarray, judged: np.ndarray, same: np.ndarray) -> np.ndarray:
    """float64 [n]: weights, those of answers that models of other products are sure to be slips made small."""
    right = np.where(same.astype(bool), scores, 1 - scores)
    return np.where(judged & (right < SLIP), weights * SLIP_WEIGHT, weights)


def _with_sure(lessons: Lessons) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, same, weights = lessons.features, lessons.same.astype(np.float64), lessons.weights
    if not lessons.sure.num_rows:
        return features, same, weights
    return (
        np.vstack([features, features_of(lessons.sure)]),
        np.concatenate([same, _booleans(lessons.sure, "same").astype(np.float64)]),
        np.concatenate([weights, np.full(lessons.sure.num_rows, SURE_WEIGHT)]),
    )


def _folds(lessons: Lessons, seed: int, count: int = FOLDS) -> Groups:
    """Folds that share no product; a leak would end here with a sentence."""
    folds = folds_of(lessons.groups, count, seed=seed)
    for number in range(count):
        _refuse_leaks(lessons, *sides_of(folds, number))
    return folds


def _refuse_leaks(lessons: Lessons, seen: np.ndarray, unseen: np.ndarray, *, timed: bool = False) -> None:
    told = lessons.pairs.select(["left_id", "right_id", "at"])
    refuse_leaks(told.take(seen), told.take(unseen), lessons.ties, timed=timed)


def _beside(folds: Groups, size: int) -> Groups:
    """The folds of labelled pairs with those of the surest pairs behind them, which teach every model."""
    return Groups(*(np.concatenate([side, np.full(size - side.size, -1)]) for side in (folds.left, folds.right)))


def _newest(lessons: Lessons, features: np.ndarray, same: np.ndarray, weights: np.ndarray, base: Model, seed: int) -> dict[str, int]:
    """The newest answers judged by a model of the older ones, as it will be in production."""
    people = lessons.people
    at = lessons.pairs["at"].to_pylist()
    earlier, later = (people[side] for side in by_time([at[place] for place in people], _taken(lessons.groups, people)))
    _refuse_leaks(lessons, earlier, later, timed=True)
    seen = np.concatenate([earlier, np.arange(lessons.same.size, same.size)])
    if not later.size or not seen.size or same[seen].min() == same[seen].max():
        return {"n": 0, "right": 0}
    told = refit(base, features[seen], same[seen], weights[seen], seed=seed).score(features[later])
    return {"n": int(later.size), "right": int(((told >= 0.5) == (same[later] > 0.5)).sum())}


def _fit_many(offers: pa.Table, lessons: Lessons, champion: Model, audited: pa.Table, catalog: Catalog, seed: int) -> Fitted:
    """A challenger with learned columns.

    The champion's surest pairs stand beside the answers here too; what they say is learned from lightly and no product is remembered by it.
    """
    told = pa.concat_tables([table.select(["left_id", "right_id"]) for table in (lessons.pairs, lessons.sure, audited)])
    labelled, taught_by = lessons.same.size, lessons.same.size + lessons.sure.num_rows
    same = np.concatenate([lessons.same, _booleans(lessons.sure, "same")]).astype(np.float64)
    weights = np.concatenate([lessons.weights, np.full(lessons.sure.num_rows, SURE_WEIGHT)])
    read = read_catalog(offers, catalog.policy.marketplaces)
    sides = [np.asarray(pc.index_in(told[name], value_set=read.offer_ids).to_numpy(), dtype=np.int64) for name in ("left_id", "right_id")]
    held = np.sort(np.stack(sides, axis=1), axis=1)
    rows, wide = np.unique(held).astype(np.int32), candidates_of(catalog.matching, read.index.postings)
    pairs = candidate_pairs(read, find_candidates(read.index, rows, wide), rows, wide, held)
    places = places_of(pairs, held)
    first = first_features(pairs, champion)
    model, columns = fit_stacked(pairs, first, places[:taught_by], same, weights, seed=seed, base=champion, asked=places[taught_by:])
    folds = _beside(_folds(lessons, seed, FOLDS_OF_MANY), same.size)
    scores, judged = scores_by_folds(model, columns[places[:taught_by]], same, folds, FOLDS_OF_MANY, seed=seed, weights=weights)
    at_audits = model.score(columns[places[taught_by:]]) if audited.num_rows else np.zeros(0)
    return Fitted(model, scores[:labelled], judged[:labelled], at_audits, {"n": 0, "right": 0})


def figures_of(lessons: Lessons, fitted: Fitted, champion_scores: np.ndarray) -> dict[str, Any]:
    """How often challenger and champion are right on the same answers of people about products that the challenger had not seen."""
    places = np.intersect1d(lessons.people, np.flatnonzero(fitted.judged))
    same, told, champion = lessons.same[places], fitted.scores[places], champion_scores[places]
    folds = FOLDS if fitted.model.stack is None else FOLDS_OF_MANY
    return {
        "n": len(same), "same": int(same.sum()), "sure_pairs": lessons.sure.num_rows, "folds": folds, "silver": lessons.same.size - lessons.people.size,
        "challenger_right": int(((told >= 0.5) == same).sum()), "champion_right": int(((champion >= 0.5) == same).sum()),
        "challenger_brier": _brier(told, same), "champion_brier": _brier(champion, same), "newest": fitted.newest,
    }  # fmt: skip


def _taken(groups: Groups, places: np.ndarray) -> Groups:
    return Groups(groups.left[places], groups.right[places])


def _brier(scores: np.ndarray, same: np.ndarray) -> float:
    return round(float(np.mean((scores - same) ** 2)), 4) if same.size else 0.0


def by_category(con: duckdb.DuckDBPyConnection, lessons: Lessons, fitted: Fitted, champion_scores: np.ndarray) -> dict[str, dict[str, int]]:
    """The same for each category of which enough answers judge: how many, and how often champion and challenger are wrong."""
    places = np.intersect1d(lessons.people, np.flatnonzero(fitted.judged))
    con.register("judged_offers", pa.table({"place": pa.array(places), "offer_id": lessons.pairs["left_id"].take(pa.array(places))}))
    rows = con.execute("""
        SELECT f.value, list(j.place ORDER BY j.place) FROM judged_offers j JOIN facts f ON f.offer_id = j.offer_id AND f.attribute = 'category'
        GROUP BY f.value HAVING count(*) >= ? ORDER BY f.value
    """, [LEAST_OF_CATEGORY]).fetchall()  # fmt: skip
    found = {}
    for category, of_category in rows:
        same = lessons.same[of_category]
        wrong = [int(((scores[of_category] >= 0.5) != same).sum()) for scores in (champion_scores, fitted.scores)]
        found[str(category)] = {"n": len(of_category), "champion_wrong": wrong[0], "challenger_wrong": wrong[1]}
    return found


def _verdict(figures: dict[str, Any]) -> str:
    better = figures["challenger_brier"] < figures["champion_brier"] and figures["challenger_right"] >= figures["champion_right"]
    return BETTER if better else NOT_BETTER
