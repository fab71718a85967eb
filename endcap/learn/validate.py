"""Validate: champion and challenger decide the same cases again, slice by slice, and everything once more to see what shoppers would see changed.

Nothing is written but the trial and, where the settings say so, that whoever is flagged is held back. Cases are audits, and answers whose products
taught nothing; what a person said of a case does not decide it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.deciding import Ruling
from endcap.decide.in_force import at_snapshot, in_force
from endcap.decide.policy import policy_id
from endcap.decide.promised import Thresholds, thresholds
from endcap.lake import Lake, Manifest
from endcap.lake.tables import table_of
from endcap.learn.cases import RIGHT, WRONG, Case, around, closed_loops, fair_cases, holds, outcome, sliced, tally, without
from endcap.learn.kinds import Arm, arm_of
from endcap.learn.labels import hold_flagged
from endcap.learn.planned import EVERYWHERE, Claim, Plan, claims, shortfalls
from endcap.learn.promote import KIND, deciding
from endcap.learn.replay import Sides, changed_sides, replay
from endcap.learn.scoring import shown
from endcap.learn.shadow import offers_in
from endcap.learn.value_cases import closed_values, values_without
from endcap.learn.verdict import LEAST_CASES, Evidence, Judgement, verdict
from endcap.ops import audit
from endcap.ops.home import Home, snapshot_id_of
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput

SHOWN_PRODUCTS = 20
NO_PLAN = Plan()
IS_CHAMPION = "the challenger is the champion itself, so that nothing was compared"
SAME_POLICY = "the policy says what is in force already, so that nothing was compared"
OTHER_POLICY = "another policy is in force than the one by which the last run decided, and this replay with it: `endcap run` first"
OTHER_SCORES = "the pairs were scored by {then}, and {now} is in force since: `endcap run` first"
BROKEN_AUDIT = "the audit is broken, so that the answers may not be those that people gave: {words}; see `endcap audit verify`"
Rulings = dict[str, Ruling]


@dataclass(frozen=True, slots=True)
class Validation:
    """A challenger judged beside the champion."""

    trial_id: str
    kind: str
    artefact: str
    champion: str
    data_version: str
    verdict: str
    figures: dict[str, Any]  # cases, slices, promises, loops, and what shoppers would see

    @property
    def words(self) -> str:
        """One sentence for people, with the first reason."""
        shoppers, why = self.figures["shoppers"], "; ".join(self.figures["judgement"]["reasons"][:3])
        return (
            f"{self.verdict} for {self.kind} {self.artefact} beside {self.champion or 'the settings alone'} on {self.figures['cases']} cases: {why}. "
            f"{shoppers['changed']:,} of {shoppers['offers']:,} offers would change side, {shoppers['merged']} products merge and {shoppers['split']} split"
        ) + (f"; {shoppers['anew']:,} more change whoever decides: all are decided anew, with the answers since the last run" if shoppers["anew"] else "")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        named = {name: getattr(self, name) for name in ("trial_id", "kind", "artefact", "champion", "data_version", "verdict", "figures")}
        return {**named, "words": self.words}


def validate(home: Home, kind: str, artefact: str, *, seed: int, plan: Plan = NO_PLAN) -> Validation:
    """Judge an artefact beside the champion of its kind, and append the trial; what falls short of its plan does not ship.

    Raises BadInput where there is no catalog, no such kind or artefact.
    """
    with home.writer():
        manifest = home.manifest()
        if not manifest.run:
            raise BadInput("there is nothing to compare with yet", where=str(home.path), todo="run `endcap run` first")
        started = time.process_time()
        hold_flagged(home)
        with home.connect() as con:
            overrides = home.rows(OVERRIDES)
            champion, challenger = arm_of(home, con, kind, None, manifest), arm_of(home, con, kind, artefact, manifest)
            shoppers, everywhere = _shoppers(con, champion, challenger, overrides)
            values = _values_hold(home, con, challenger, manifest.run)
            judgement, figures = _judge(con, champion, challenger, overrides, plan, everywhere, values, _faults(home, kind, champion, challenger))
            figures["shoppers"] = shoppers
        figures |= {"seed": seed, "kind": kind}
        # By what was found too: the same data may be judged by fewer people's answers, or by other closed loops, than before.
        found_key = hashlib.sha256(json.dumps([champion.artefact, judgement.verdict, figures], sort_keys=True).encode()).hexdigest()[:8]
        trial_id = f"{kind}-{artefact}@{manifest.content_hash[:12]}.{home.override_sequence()}{plan.key}.{found_key}"
        figures["cpu_s"] = round(time.process_time() - started, 2)
        found = Validation(trial_id, kind, artefact, champion.artefact, snapshot_id_of(manifest), judgement.verdict, figures)
        _keep(home, manifest, found)
        return found


def _judge(
    con: duckdb.DuckDBPyConnection, champion: Arm, challenger: Arm, overrides: pa.Table, plan: Plan, everywhere: tuple[Rulings, Rulings],
    values: Mapping[int, bool], faults: list[str],
) -> tuple[Judgement, dict[str, Any]]:  # fmt: skip
    cases, loops = sliced(con, fair_cases(con, taught=challenger.learned)), closed_loops(con)
    every = [*cases, *loops.values()]
    con.register("pairs_of_challenger", challenger.pairs)
    least = min(champion.policy.review, challenger.policy.review)
    open_ids = around(con, every, ("pairs", "pairs_of_challenger"), least)
    said = without(overrides, every)
    rulings = [_replayed(con, arm, said, open_ids) for arm in (champion, challenger)]
    made = [(case, (outcome(case, rulings[0][0]), outcome(case, rulings[1][0]))) for case in cases]
    held = {**{loop_id: holds(case, rulings[1][0]) for loop_id, case in loops.items()}, **values}
    broken = sorted(loop_id for loop_id, is_right in held.items() if not is_right)
    claimed = _claimed(con, plan, made, everywhere)
    audits = sum(case.source == "audit" for case in cases)
    least_cases = max(LEAST_CASES, plan.needed)
    known = replace(_evidence(made, broken), audits=audits, least_cases=least_cases, shortfalls=shortfalls(plan, claimed), faults=faults)
    judgement = verdict(known)
    figures = {
        "plan": {"smallest_effect": plan.smallest_effect, "claims": [claim.to_dict() for claim in claimed]},
        "cases": len(cases), "audits": audits, "judgement": judgement.to_dict(),
        "loops": {"checked": len(held), "broken": broken},
        "promises": {name: allowed.key and {scope: promise.words for scope, promise in allowed.promises.items()} for name, allowed in
                     (("champion", rulings[0][1]), ("challenger", rulings[1][1]))},
        "outcomes": {name: {made_so: sum(pair[at] == made_so for _case, pair in made) for made_so in (RIGHT, WRONG)} for at, name in
                     enumerate(("champion", "challenger"))},
        "changed_cases": [_told(case, pair) for case, pair in made if pair[0] != pair[1]][:SHOWN_PRODUCTS],
    }  # fmt: skip
    return judgement, figures


def _faults(home: Home, kind: str, champion: Arm, challenger: Arm) -> list[str]:
    """Why nothing that a replay finds may be believed, whatever it finds."""
    same_policy = kind == "policy" and policy_id(challenger.policy) == policy_id(champion.policy)
    found = [IS_CHAMPION] if challenger.artefact == champion.artefact else [SAME_POLICY] if same_policy else []
    if policy_id(in_force(home).policy) != policy_id(champion.policy):
        found.append(OTHER_POLICY)
    model, has_scored = deciding(home, KIND)
    if kind == "policy" and not has_scored:  # of other kinds the pairs are scored anew, or what is scored is not what changes
        found.append(OTHER_SCORES.format(then=home.manifest().models.get(KIND, "no model"), now=model))
    whole = audit.verify(home.engine, home.path / audit.HEADS)
    return found if whole.broken is None else [*found, BROKEN_AUDIT.format(words=whole.words)]


def _values_hold(home: Home, con: duckdb.DuckDBPyConnection, arm: Arm, run: int) -> dict[int, bool]:
    """Whether the value of each closed loop about one comes out right by itself, by what an arm reads in the offers."""
    cases = closed_values(con)
    with _arm_shown(con, arm):
        found = values_without(con, at_snapshot(home).model_copy(update={"policy": arm.policy}), set(cases.values()), run)
    return {loop_id: case.holds(found[case]) for loop_id, case in cases.items()}


def _claimed(con: duckdb.DuckDBPyConnection, plan: Plan, made: list[tuple[Case, tuple[str, str]]], everywhere: tuple[Rulings, Rulings]) -> list[Claim]:
    """What the plan claims, measured within its scope."""
    if plan.scope == EVERYWHERE:
        return claims(plan, [pair for _case, pair in made], *everywhere)
    inside = set(offers_in(con, plan.scope).to_pylist())
    return claims(plan, [pair for case, pair in made if not inside.isdisjoint(case.key)], *everywhere, inside)


def _replayed(con: duckdb.DuckDBPyConnection, arm: Arm, said: pa.Table, open_ids: pa.Array) -> tuple[Rulings, Thresholds]:
    """(rulings of one arm, the promises it was held to: of its own scores)."""
    with _arm_shown(con, arm):
        allowed = thresholds(con, arm.policy)
        return replay(con, arm.policy, allowed, open_ids=open_ids, overrides=said), allowed


def _evidence(made: list[tuple[Case, tuple[str, str]]], broken: list[int]) -> Evidence:
    by_slice: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for case, pair in made:
        for named in case.slices:
            by_slice[named].append(pair)
    pairs = [pair for _case, pair in made]
    return Evidence(
        right=tally("all", "everything", pairs, lambda one: one == RIGHT),
        safe=tally("all", "everything", pairs, lambda one: one != WRONG),
        slices=[tally(by, name, of_slice, lambda one: one != WRONG) for (by, name), of_slice in sorted(by_slice.items())],
        breaches=[f"the closed loop {loop_id} would fail again" for loop_id in broken],
    )


def _shoppers(con: duckdb.DuckDBPyConnection, champion: Arm, challenger: Arm, overrides: pa.Table) -> tuple[dict[str, Any], tuple[Rulings, Rulings]]:
    """(what the challenger would make of every offer, by the very deciding of a run; all rulings of both).

    Against what the champion would make of all of them anew: decisions of many runs may differ from those, whoever is champion.
    """
    served = con.execute("SELECT offer_id, action, product_id FROM decisions WHERE kind = 'product' ORDER BY offer_id").fetchall()
    every = pa.array([offer_id for offer_id, _action, _product in served], pa.string())
    was, now = (_replayed(con, arm, overrides, every)[0] for arm in (champion, challenger))
    anew = sum((was[offer_id].action, was[offer_id].product_id) != (action, product_id) for offer_id, action, product_id in served if offer_id in was)
    sides = changed_sides(con, was, now)
    return {**_with_products(con, sides, was, now), "pairs": challenger.pairs.num_rows, "anew": anew}, (was, now)


def _with_products(con: duckdb.DuckDBPyConnection, sides: Sides, was: Mapping[str, Ruling], now: Mapping[str, Ruling]) -> dict[str, Any]:
    goes: dict[str, set[str]] = defaultdict(set)
    comes: dict[str, set[str]] = defaultdict(set)
    for offer_id, ruling in now.items():
        before = was[offer_id].product_id if offer_id in was else None
        if before and ruling.product_id:
            goes[before].add(ruling.product_id)
            comes[ruling.product_id].add(before)
    split, merged = sorted(one for one, into in goes.items() if len(into) > 1), sorted(one for one, of in comes.items() if len(of) > 1)
    named = [{"product_id": one, "into": sorted(goes[one])} for one in split[:SHOWN_PRODUCTS]]
    joined = [{"product_id": one, "of": sorted(comes[one])} for one in merged[:SHOWN_PRODUCTS]]
    return {**sides.to_dict(), "split": len(split), "merged": len(merged), "split_products": named, "merged_products": joined}


@contextmanager
def _arm_shown(con: duckdb.DuckDBPyConnection, arm: Arm) -> Iterator[None]:
    """Within, `con` shows the catalog as the arm sees it."""
    if arm.is_champion:
        yield
        return
    with ExitStack() as within:
        for table, rows in (("offers", arm.offers), ("pairs", arm.pairs), ("facts", arm.facts)):
            if rows is not None:
                within.enter_context(shown(con, table, rows))
        yield


def _told(case: Case, pair: tuple[str, str]) -> dict[str, Any]:
    return {"offer_id": case.offer_id, "other_id": case.other_id, "same": case.same, "champion": pair[0], "challenger": pair[1], "source": case.source}


def _keep(home: Home, manifest: Manifest, found: Validation) -> None:
    """Write the row of trials; what found the same on the same data by the same plan is one row."""
    lake = Lake(home.lake_folder, manifest)
    lake.restore()
    trial = schema.Trial(
        trial_id=found.trial_id, challenger=found.artefact, champion=found.champion, labels=found.figures["cases"], data_version=found.data_version,
        figures_json=json.dumps(found.figures, sort_keys=True), verdict=found.verdict, run=manifest.run, gone=False,
    )  # fmt: skip
    if not lake.current(schema.Trial, f"trial_id = '{found.trial_id}'").num_rows:
        lake.append(schema.Trial, table_of(schema.Trial, [trial]))
        home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))
