"""Why any two offers are, or are not, one product: how far the pair came on the way from delivery to product, and what stopped it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import pyarrow as pa

from endcap import match  # by its name: its parts load when they are used, which a server's start must not wait for
from endcap.decide.clusters import Clusters, Refusal
from endcap.decide.in_force import at_snapshot
from endcap.decide.inputs import Inputs, contradiction, read_inputs
from endcap.decide.policy import APART, LINK, Edge, Verdict, judge
from endcap.decide.promised import Thresholds, thresholds
from endcap.lake import Manifest
from endcap.problems import BadInput
from endcap.settings import Catalog, Policy

if TYPE_CHECKING:
    from endcap.match import Model, Reach

# Refusals that follow from a low likeness and say nothing besides.
FOLLOWING = ("weak_support", "bridge")
# What a person can do next, by verdict: the step at which the pair fell out, or how it came through.
NEXT_STEPS = {
    "linked": "nothing; where it is wrong, the bars show what speaks for it",
    "person": "nothing; a person's word holds until it is taken back with the undo key of `endcap review`",
    "not_live": "wait for the next delivery; its last decision is in `endcap explain OFFER`",
    "same_feed": "name the feed under `policy.marketplaces` if several sellers list a product there; else another feed's GTIN or a person joins them",
    "no_scorer": "run `endcap run` with offers of two feeds",
    "not_candidates": "a GTIN, or brand and part number, stated by both feeds has them compared; so may a larger `matching.candidates`",
    "not_kept": "a larger `matching.kept` keeps more pairs of each offer",
    "conflict": "correct the value that is wrong at its source, or read the facts of each with `endcap explain OFFER`",
    "unlike": "nothing where they differ; else see the bars below zero for what the feeds state differently, and `endcap train` to teach it",
    "asked": "answer it with `endcap review`",
    "doubtful": "nothing is asked of it now; `endcap explain OFFER` says which question stands instead",
    "waiting": "answer the question that stands first with `endcap review`",
    "refused": "see the other offers of the product with `endcap explain PRODUCT`",
    "two_products": "see both products with `endcap explain PRODUCT`; a person's answer in `endcap review` puts offers together",
}


class Home(Protocol):
    """What explaining needs of a catalog's home."""

    @property
    def catalog(self) -> Catalog:
        """Its settings."""
        ...

    @property
    def path(self) -> Path:
        """Its folder, which holds the cache of tokens."""
        ...

    def manifest(self, snapshot_id: str | None = None) -> Manifest:
        """The manifest of the current or a named snapshot."""
        ...

    def connect(self, snapshot_id: str | None = None) -> duckdb.DuckDBPyConnection:
        """DuckDB over the tables of a snapshot and the operational tables."""
        ...

    def model_folder(self, model_id: str) -> Path:
        """Where a model lies."""
        ...


@dataclass(frozen=True, slots=True)
class PairOffer:
    """One of the two offers. `since_run` is the run that ended it where it is no longer live."""

    offer_id: str
    feed: str
    title: str
    brand: str | None
    gtin: str | None
    price: float | None
    currency: str | None
    live: bool
    since_run: int
    product_id: str | None = None
    action: str | None = None  # linked | new_product | to_review
    reason: str | None = None
    decided_by: str | None = None
    proposed_product_id: str | None = None
    counterpart_offer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way; `passed` is None where the pair did not come so far."""

    name: str
    passed: bool | None
    words: str


@dataclass(frozen=True, slots=True)
class PairBar:
    """One bar of the waterfall; `value` is None where the feature is unknown."""

    name: str
    value: float | None
    words: str
    contribution: float


@dataclass(frozen=True, slots=True)
class NearOffer:
    """A candidate of one of the two; `similarity` is None where the pair is shown as it was stored."""

    of_offer_id: str
    rank: int
    offer_id: str
    title: str
    similarity: float | None
    score: float


@dataclass(frozen=True, slots=True)
class PairExplanation:
    """All that is known of two offers together. The contributions of `bars` sum to `log_odds`, the log-odds of `score`."""

    kind: str
    left: PairOffer
    right: PairOffer
    verdict: str  # a key of NEXT_STEPS
    words: str
    todo: str
    steps: list[Step]
    score: float | None
    log_odds: float | None
    conflict: str | None
    stored: bool  # the score is of a run; else it was computed now, by the same steps
    run: int | None
    model: str | None
    review: float
    accept: float
    bars: list[PairBar] = field(default_factory=list)
    near: list[NearOffer] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)  # words that both hold, the rarest first, with how many offers hold them
    answers: list[str] = field(default_factory=list)  # what people said of the two, the latest last


@dataclass(frozen=True, slots=True)
class _Pair:
    """The pair as read: stored, or found now."""

    edge: Edge
    features: Sequence[float]
    model: Model | None
    run: int | None  # None = not stored
    model_id: str
    reach: Reach | None


def explain_between(home: Home, one_id: str, other_id: str, snapshot_id: str | None = None) -> PairExplanation:
    """Explain two offers by their ids, whether or not a run ever compared them.

    Out: the smaller id as `left`. A stored pair is shown with the score, features and model of its run; any other is looked up and scored
    by the same functions, as a run that takes in just these two would. Raises BadInput when an id was never delivered or both are one.
    """
    if one_id == other_id:
        raise BadInput("an offer cannot be compared with itself", where="explain", todo="name two offers")
    left_id, right_id = sorted((one_id, other_id))
    with home.connect(snapshot_id) as con:
        left, right = _offer(con, left_id), _offer(con, right_id)
        answers = _answers(con, left, right, home.manifest(snapshot_id).override_sequence)
        catalog = at_snapshot(home)
        if not (left.live and right.live):
            return _not_live(catalog.policy, left, right, answers)
        members = {row["offer_id"]: row["product_id"] for row in _rows(con, _MEMBERS, _ids(left, right))}
        inputs = _inputs(con, members)
        pair = _stored_pair(home, con, left, right, inputs) or _found_pair(home, con, left, right, inputs, snapshot_id)
        allowed = thresholds(con, catalog.policy)
        verdict = None if pair is None else judge(pair.edge, catalog.policy, *allowed.of(pair.edge))
        refusal = None if pair is None else _refusal(catalog.policy, inputs, pair.edge, members, allowed)
        steps = _steps(catalog, left, right, pair, verdict, refusal)
        code, words = _conclusion(left, right, steps, verdict, refusal, answers)
        bars = [] if pair is None else _bars(con, pair)
        return PairExplanation(
            kind="pair", left=left, right=right, verdict=code, words=words, todo=NEXT_STEPS[code], steps=steps,
            score=pair.edge.score if pair else None, log_odds=sum(bar.contribution for bar in bars) if bars else None,
            conflict=pair.edge.conflict if pair else None, stored=pair is not None and pair.run is not None,
            run=pair.run if pair else None, model=pair.model_id if pair else None, review=catalog.policy.review, accept=catalog.policy.accept,
            bars=bars, near=_near(con, pair, left_id, right_id), shared=_shared(pair), answers=answers,
        )  # fmt: skip


# --- what is read ---------------------------------------------------------------------------------------------------

_OFFER = """
    SELECT o.offer_id, o.feed, o.title, o.brand, o.gtin, o.price::DOUBLE AS price, o.currency, NOT o.gone AS live, o.run AS since_run,
           d.product_id, d.action, d.reason, d.decided_by, d.proposed_product_id, d.counterpart_offer_id
    FROM (SELECT * FROM offers_log WHERE offer_id = $id ORDER BY run DESC LIMIT 1) o
    LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
"""
_PAIR = "SELECT features, score, conflict, model, run FROM pairs WHERE left_id = ? AND right_id = ?"
_ANSWERS = """
    SELECT override_id, offer_id, action, actor, "at", product_id, counterpart_offer_id FROM overrides
    WHERE action NOT IN ('undo', 'skip') AND field IS NULL AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
      AND ((offer_id = $left AND (counterpart_offer_id = $right OR product_id = $right_product))
        OR (offer_id = $right AND (counterpart_offer_id = $left OR product_id = $left_product)))
    ORDER BY override_id
"""
_MEMBERS = """
    SELECT o.offer_id, d.product_id FROM offers o LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
    WHERE d.product_id IN ($left_product, $right_product) OR o.offer_id IN ($left, $right) ORDER BY 1
"""
_NEAR = """
    WITH near AS (SELECT right_id AS offer_id, score FROM pairs WHERE left_id = $id UNION ALL SELECT left_id, score FROM pairs WHERE right_id = $id)
    SELECT offer_id, title, score FROM near JOIN offers USING (offer_id) ORDER BY score DESC, offer_id
"""


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = con.sql(query, params=values).to_arrow_table().to_pylist()
    return found


def _offer(con: duckdb.DuckDBPyConnection, offer_id: str) -> PairOffer:
    found = _rows(con, _OFFER, {"id": offer_id})
    if found:
        return PairOffer(**found[0])
    feed = offer_id.partition(":")[0]
    held = con.execute("SELECT count(*) FROM quarantined WHERE feed = ?", [feed]).fetchall()[0][0]
    todo = f"{held:,} records of {feed} broke the contract and are in quarantine: it may be one of them" if held else "an offer is FEED:ID"
    raise BadInput(f"there is no offer {offer_id!r}", where="explain", todo=todo)


def _inputs(con: duckdb.DuckDBPyConnection, members: Iterable[str]) -> Inputs:
    """What deciding would see if these offers were open."""
    open_ids = pa.array(sorted(members), pa.string())
    return read_inputs(con, open_ids, open_ids, con.sql("SELECT * FROM overrides ORDER BY override_id").to_arrow_table())


def _ids(left: PairOffer, right: PairOffer) -> dict[str, str | None]:
    return {"left": left.offer_id, "right": right.offer_id, "left_product": left.product_id, "right_product": right.product_id}


def _answers(con: duckdb.DuckDBPyConnection, left: PairOffer, right: PairOffer, taken_in: int) -> list[str]:
    """What people said of the two, in words."""
    said = []
    for row in _rows(con, _ANSWERS, _ids(left, right)):
        about = {"same": "the same", "other": "the same", "different": "not the same", "new": "a product of its own"}[row["action"]]
        later = "" if row["override_id"] <= taken_in else "; the next run takes it in"
        said.append(f"{row['actor']} said on {row['at']} that {row['offer_id']} is {about} (answer {row['override_id']}{later})")
    return said


def _edge(left: PairOffer, right: PairOffer, score: float, conflict: str | None, inputs: Inputs) -> Edge:
    told = conflict or contradiction(inputs.stated.get(left.offer_id, {}), inputs.stated.get(right.offer_id, {}))
    prices = left.price, right.price
    ratio = None
    if left.currency == right.currency and prices[0] and prices[1] and min(prices[0], prices[1]) > 0:
        ratio = max(prices[0] / prices[1], prices[1] / prices[0])
    return Edge(left.offer_id, right.offer_id, score, told, left.gtin is not None and left.gtin == right.gtin, ratio)


def _stored_pair(home: Home, con: duckdb.DuckDBPyConnection, left: PairOffer, right: PairOffer, inputs: Inputs) -> _Pair | None:
    found = _rows(con, _PAIR, [left.offer_id, right.offer_id])
    if not found:
        return None
    row = found[0]
    folder = home.model_folder(row["model"])
    model = match.Model.stored(folder, row["model"]) if folder.is_dir() else None
    return _Pair(_edge(left, right, row["score"], row["conflict"], inputs), row["features"], model, row["run"], row["model"], None)


def _found_pair(home: Home, con: duckdb.DuckDBPyConnection, left: PairOffer, right: PairOffer, inputs: Inputs, snapshot_id: str | None) -> _Pair | None:
    """The pair as a run would find it; None where the snapshot has no scorer."""
    model_id = home.manifest(snapshot_id).models.get("match")
    if model_id is None:
        return None
    model = match.Model.stored(home.model_folder(model_id), model_id)
    offers = con.sql(f"SELECT {', '.join(match.REACH_COLUMNS)} FROM offers ORDER BY offer_id").to_arrow_table()
    found = match.find_reach(
        offers, (left.offer_id, right.offer_id), matching=home.catalog.matching, model=model, marketplaces=at_snapshot(home).policy.marketplaces
    )
    return _Pair(_edge(left, right, found.score, found.conflict, inputs), found.features, model, None, model_id, found)


def _bars(con: duckdb.DuckDBPyConnection, pair: _Pair) -> list[PairBar]:
    if pair.model is None:
        return []
    sides = [_rows(con, "SELECT * FROM offers WHERE offer_id = ?", [one])[0] for one in (pair.edge.left_id, pair.edge.right_id)]
    bars = match.explain_pair(sides[0], sides[1], pair.model, pair.features)
    return [PairBar(bar.name, None if bar.value != bar.value else bar.value, bar.words, bar.contribution) for bar in bars]


def _near(con: duckdb.DuckDBPyConnection, pair: _Pair | None, left_id: str, right_id: str) -> list[NearOffer]:
    """The candidates of both offers: by nearness where they were looked up now, else the kept ones by likeness."""
    if pair is None or pair.reach is None:
        kept = {one: _rows(con, _NEAR, {"id": one}) for one in (left_id, right_id)}
        return [NearOffer(one, rank, row["offer_id"], row["title"], None, row["score"]) for one in kept for rank, row in enumerate(kept[one], 1)]
    listed = ((left_id, pair.reach.left), (right_id, pair.reach.right))
    con.register("listed", pa.table({"offer_id": pa.array(sorted({near.offer_id for _one, side in listed for near in side.offers}), pa.string())}))
    titles = dict(con.execute("SELECT offer_id, title FROM offers SEMI JOIN listed USING (offer_id)").fetchall())
    return [
        NearOffer(one, rank, near.offer_id, titles[near.offer_id], near.similarity, near.score)
        for one, side in listed for rank, near in enumerate(side.offers, 1)
    ]  # fmt: skip


def _shared(pair: _Pair | None) -> list[str]:
    return [] if pair is None or pair.reach is None else [f"{one.form} (in {one.offers:,} offers)" for one in pair.reach.shared]


# --- what it means --------------------------------------------------------------------------------------------------


def _refusal(policy: Policy, inputs: Inputs, edge: Edge, members: Mapping[str, str | None], allowed: Thresholds) -> Refusal | None:
    """Why the two products as they stand now may not be joined over this edge; None where nothing forbids it."""
    edges = [one for one in inputs.edges if (one.left_id, one.right_id) != (edge.left_id, edge.right_id)]
    clusters = Clusters(policy, [*edges, edge], inputs.stated, inputs.answers, lambda one: allowed.of(one)[0])
    first: dict[str, str] = {}
    for offer_id, offer in inputs.offers.items():
        clusters.add_open(offer_id, offer.feed)
        product_id = members[offer_id]
        if product_id is not None:
            clusters.bind(first.setdefault(product_id, offer_id), offer_id)
    return clusters.join(edge)


def _together(left: PairOffer, right: PairOffer) -> bool:
    return left.product_id is not None and left.product_id == right.product_id


def _steps(catalog: Catalog, left: PairOffer, right: PairOffer, pair: _Pair | None, verdict: Verdict | None, refusal: Refusal | None) -> list[Step]:
    """The way of the pair; after the first step that fails nothing is passed, but two offers may be together through others."""
    found = [Step("live", True, "both are delivered"), _feeds_step(catalog.policy, left, right)]
    if pair is None or verdict is None:
        found.append(Step("candidates", False, "this catalog has no scorer yet: nothing was compared"))
    else:
        found += [_candidates_step(pair, left, right), _kept_step(catalog, pair), Step("likeness", verdict.does == LINK, verdict.words)]
    failed = next((place for place, step in enumerate(found) if not step.passed), len(found))
    found = [step if place <= failed else _unreached(step) for place, step in enumerate(found)]
    if _together(left, right):
        return [*found, Step("joined", True, f"both belong to {left.product_id}")]
    if failed < len(found):
        besides = refusal is not None and refusal.code not in FOLLOWING
        return [*found, Step("joined", None, f"not reached; besides, {refusal.words}" if refusal and besides else "not reached")]
    return [*found, Step("joined", False, refusal.words if refusal else "not joined, though nothing forbids it as their products stand now")]


def _unreached(step: Step) -> Step:
    """A step behind the one that failed; the likeness is worth knowing all the same."""
    return Step(step.name, None, f"not reached; it would be: {step.words}" if step.name == "likeness" else "not reached")


def _feeds_step(policy: Policy, left: PairOffer, right: PairOffer) -> Step:
    if left.feed == right.feed and left.feed in policy.marketplaces:
        return Step("feeds", True, f"both are of {left.feed}, where several sellers list a product")
    if left.feed == right.feed:
        return Step("feeds", False, f"both are of {left.feed}, and offers of one feed are not compared with each other")
    return Step("feeds", True, f"of two feeds, {left.feed} and {right.feed}")


def _candidates_step(pair: _Pair, left: PairOffer, right: PairOffer) -> Step:
    if pair.reach is None:
        return Step("candidates", True, "they were compared")
    reach = pair.reach
    sides = ((right, left, reach.left), (left, right, reach.right))
    ranks = " and ".join(_rank_words(other, own, side.rank, reach.compared) for other, own, side in sides)
    if reach.same_key:
        return Step("candidates", True, f"compared for the GTIN, or the brand and part number, that they share: {ranks}")
    if reach.found:
        return Step("candidates", True, f"{ranks}; {_compared_words(reach)}")
    shared = ", ".join(f"{one.form} (in {one.offers:,} offers)" for one in reach.shared[:5])
    why = f"they share {shared}" if shared else "their titles share no word or code"
    return Step("candidates", False, f"{ranks}; {_compared_words(reach)}; {why}, and no strong key")


def _compared_words(reach: Reach) -> str:
    return f"{reach.candidates} are compared, the nearest of each feed first"


def _rank_words(other: PairOffer, own: PairOffer, rank: int | None, compared: int) -> str:
    if rank is None:
        return f"{other.offer_id} is not among the {compared} most promising for {own.offer_id}"
    return f"{other.offer_id} is number {rank} of the nearest to {own.offer_id}"


def _kept_step(catalog: Catalog, pair: _Pair) -> Step:
    if pair.run is not None:
        return Step("kept", True, f"kept with its score of run {pair.run}")
    return Step("kept", False, f"not kept: of each offer the best {catalog.matching.kept} pairs are, and those that share a GTIN")


def _conclusion(
    left: PairOffer, right: PairOffer, steps: list[Step], verdict: Verdict | None, refusal: Refusal | None, answers: list[str],
) -> tuple[str, str]:  # fmt: skip
    """(verdict, words): what became of the two, and why."""
    if _together(left, right):
        return "linked", f"one product, {left.product_id}: {_together_words(left, right)}"
    if refusal is not None and refusal.code == "person_apart":
        return "person", f"two products: {answers[-1] if answers else refusal.words}"
    asked = next((own for own, other in ((left, right), (right, left)) if _asks_about(own, other)), None)
    if asked is not None:
        return "asked", f"{asked.offer_id} waits for a person: {asked.reason}"
    stopped = next((step for step in steps if step.passed is False), None)
    if stopped is None or verdict is None:
        return "no_scorer", "two products: this catalog has no scorer yet"
    if stopped.name in ("feeds", "candidates", "kept"):
        return {"feeds": "same_feed", "candidates": "not_candidates", "kept": "not_kept"}[stopped.name], f"two products: {stopped.words}"
    if stopped.name == "likeness":
        return (verdict.code if verdict.does == APART else "doubtful"), f"two products: {verdict.words}"
    if refusal is not None:
        return "refused", f"two products although {verdict.words}: {refusal.words}"
    waiting = next((own for own in (left, right) if own.product_id is None), None)
    if waiting is not None:
        return "waiting", f"{waiting.offer_id} waits for a person: {waiting.reason}"
    return "two_products", f"two products although {verdict.words}: both were settled in earlier runs, and the machine does not make one of two products"


def _asks_about(own: PairOffer, other: PairOffer) -> bool:
    """Whether a question about the one offer stands that names the other, or its product."""
    named = own.counterpart_offer_id == other.offer_id or (own.proposed_product_id is not None and own.proposed_product_id == other.product_id)
    return own.action == "to_review" and named


def _together_words(left: PairOffer, right: PairOffer) -> str:
    for own, other in ((right, left), (left, right)):
        if own.counterpart_offer_id == other.offer_id or own.decided_by == "person":
            return f"{own.offer_id} {own.reason}" if own.decided_by == "person" else f"linked to each other, {own.reason}"
    return "held together by other offers of the product"


def _not_live(policy: Policy, left: PairOffer, right: PairOffer, answers: list[str]) -> PairExplanation:
    gone = " and ".join(f"{one.offer_id} is no longer delivered, since run {one.since_run}" for one in (left, right) if not one.live)
    steps = [Step("live", False, gone), *(Step(name, None, "not reached") for name in ("feeds", "candidates", "kept", "likeness", "joined"))]
    return PairExplanation(
        kind="pair", left=left, right=right, verdict="not_live", words=f"not compared: {gone}", todo=NEXT_STEPS["not_live"], steps=steps, score=None,
        log_odds=None, conflict=None, stored=False, run=None, model=None, review=policy.review, accept=policy.accept, answers=answers,
    )  # fmt: skip
