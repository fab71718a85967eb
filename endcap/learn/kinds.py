"""Each kind of artefact as an arm of a comparison: the scores, the facts and the policy that a catalog would have under it."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.in_force import KINDS, at_snapshot, overlaid
from endcap.infer import find_facts, load_known
from endcap.lake import Manifest
from endcap.learn.promote import deciding
from endcap.learn.reread import under_mapping, under_taxonomy
from endcap.learn.scoring import all_pairs_by
from endcap.match import Model, match_offers
from endcap.match.live import live_in
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.problems import BadInput
from endcap.settings import Policy

JUDGED = ("match", "infer", "policy", "mapping", "taxonomy")


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison."""

    artefact: str
    policy: Policy
    pairs: pa.Table
    facts: pa.Table
    learned: bool  # from labels, which therefore cannot judge it
    is_champion: bool = False
    offers: pa.Table | None = None  # where it reads them otherwise


def arm_of(home: Home, con: duckdb.DuckDBPyConnection, kind: str, artefact: str | None, manifest: Manifest) -> Arm:
    """The arm of an artefact, or of what is in production where none is named.

    Raises BadInput for a kind that cannot be judged so, and for a champion that has decided nothing yet: the snapshot is its predecessor's.
    """
    if kind not in JUDGED:
        raise BadInput(f"a {kind} cannot be replayed on audited decisions", where="validate", todo=f"name one of {', '.join(JUDGED)}, or try it in a shadow")
    stored = {noun.TABLE: con.sql(f"SELECT * FROM {noun.TABLE}").to_arrow_table().cast(schema.arrow_schema(noun)) for noun in (schema.Pair, schema.Fact)}
    policy = at_snapshot(home).policy
    if artefact is None:
        champion, has_decided = deciding(home, kind)
        if not has_decided:
            last = f"the {kind} {champion}" if champion else f"the {kind} of the settings' file"
            raise BadInput(f"{last} is in force since the last run and has decided nothing yet", where="validate", todo="run `endcap run` first")
        return Arm(champion, policy, stored["pairs"], stored["facts"], learned=False, is_champion=True)
    if kind == "policy":
        asked = overlaid(home, {"policy": artefact}).policy
        pairs = stored["pairs"] if set(asked.marketplaces) == set(policy.marketplaces) else _pairs_among(home, con, asked, manifest)
        return Arm(artefact, asked, pairs, stored["facts"], learned=False)
    if kind in ("mapping", "taxonomy"):
        return _reread(home, con, kind, artefact, manifest, policy, stored)
    if kind == "infer":
        return Arm(artefact, policy, stored["pairs"], _facts_by(home, con, artefact, manifest.run), learned=True)
    model = Model.stored(home.model_folder(artefact), artefact)
    pairs = all_pairs_by(con, model, at_snapshot(home), home.path / "cache", manifest.run)
    return Arm(artefact, policy, pairs, stored["facts"], learned=True)


def _pairs_among(home: Home, con: duckdb.DuckDBPyConnection, policy: Policy, manifest: Manifest) -> pa.Table:
    """All pairs as a run would find them with other marketplaces: endcap's own scorer is fitted anew, as a run does, one that people promoted stays."""
    champion, own = manifest.models["match"], home.champion_by("match") in (None, OWN)
    model = None if own else Model.stored(home.model_folder(champion), champion)
    live, asked = live_in(con, policy.marketplaces), con.sql("SELECT offer_id FROM offers ORDER BY offer_id").to_arrow_table()["offer_id"].combine_chunks()
    return match_offers(live, asked, matching=home.catalog.matching, model=model, run=manifest.run, cache=home.path / "cache").pairs


def _reread(
    home: Home, con: duckdb.DuckDBPyConnection, kind: str, artefact: str, manifest: Manifest, policy: Policy, stored: dict[str, pa.Table]
) -> Arm:  # fmt: skip
    others = {one: manifest.models[one] for one in KINDS if one in manifest.models and one != kind}
    then = overlaid(home, {**others, kind: artefact})
    if kind == "taxonomy":
        return Arm(artefact, policy, stored["pairs"], under_taxonomy(home, con, then, manifest), learned=False)
    found = under_mapping(home, con, at_snapshot(home), then, manifest)
    return Arm(artefact, policy, found.pairs, found.facts, learned=False, offers=found.offers)


def _facts_by(home: Home, con: duckdb.DuckDBPyConnection, artefact: str, run: int) -> pa.Table:
    known = load_known(home.model_folder(artefact))
    offers = con.sql("SELECT * FROM offers ORDER BY offer_id").to_arrow_table().cast(schema.arrow_schema(schema.Offer))
    return find_facts(offers, known, run=run, engine=home.catalog.engine, cores=home.catalog.cores, batch_rows=home.catalog.batch_rows)
