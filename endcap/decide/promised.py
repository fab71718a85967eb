"""From which likeness on the machine may link by itself: what the settings say, or what audited answers prove for each scope."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np

from endcap.decide.policy import Edge
from endcap.decide.promise import Promise, solve
from endcap.settings import Policy, Promised, Scope

AUDIT = "audit"  # the reason code of an override that answers an audit
EVERYTHING = "everything"
# Above every likeness: nothing is linked by machine.
NEVER = 1.01

# People whose answers teach and judge nothing for now; their answers stay in force.
HELD = "SELECT person FROM reviewer_holds GROUP BY person HAVING arg_max(held, hold_id)"

# Audits of links in force, the last one of a pair: offer_id, other_id, same. What a founded product was shown beside is no link that was proposed.
LAST_AUDITS = f"""
    SELECT override_id, offer_id, counterpart_offer_id AS other_id, action = 'same' AS same, snapshot_id FROM overrides
    WHERE reason_code = '{AUDIT}' AND action IN ('same', 'different') AND counterpart_offer_id IS NOT NULL
      AND override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL) AND actor NOT IN ({HELD})
      AND coalesce(key, '') NOT IN (SELECT key FROM blind_asks WHERE decided = 'new_product' AND key IS NOT NULL)
    QUALIFY row_number() OVER (PARTITION BY least(offer_id, counterpart_offer_id), greatest(offer_id, counterpart_offer_id) ORDER BY override_id DESC) = 1
"""
# The run of the snapshot that an answer was given on; an answer without one is as late as can be.
_RUN_OF = "coalesce(try_cast(regexp_extract(a.snapshot_id, '^s([0-9]+)-', 1) AS BIGINT), 9223372036854775807)"
# Feeds that came after the first audits, with the run they came in: what was answered before was no sample of what they bring.
_LATE = f"""
    WITH began AS (SELECT feed, min(run) AS run FROM deliveries_log WHERE state = 'accepted' GROUP BY feed)
    SELECT feed, run FROM began WHERE run > (SELECT min({_RUN_OF}) FROM ({LAST_AUDITS}) a) ORDER BY run, feed
"""
# Each with the likeness that its pair has now. A pair that is compared no more says nothing of today's model, and what contradicts itself
# is never linked by machine, however alike.
_SCORED = f"""
    SELECT a.offer_id, a.other_id, p.score, a.same, {_RUN_OF} AS run FROM ({LAST_AUDITS}) a
    JOIN {{pairs}} p ON p.left_id = least(a.offer_id, a.other_id) AND p.right_id = greatest(a.offer_id, a.other_id)
    WHERE p.conflict IS NULL ORDER BY a.override_id
"""
AUDITED = _SCORED.format(pairs="pairs")
_IN_SCOPE = """
    SELECT o.offer_id FROM offers o LEFT JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category'
    WHERE ($supplier IS NULL OR o.supplier = $supplier OR o.feed = $supplier)
      AND ($category IS NULL OR f.value = $category OR starts_with(f.value, $category || ' > ')) ORDER BY o.offer_id
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The likeness from which a link is made by machine, for everything or by scope."""

    accept: float  # where no promise is asked for
    promises: Mapping[str, Promise] = field(default_factory=dict)  # by the scope's name
    scope_of: Mapping[str, str] = field(default_factory=dict)  # offer id -> the first scope it lies in; others lie in EVERYTHING
    late: Mapping[str, str] = field(default_factory=dict)  # feed that came after the first audits -> the feeds that came with it, in words

    def of(self, edge: Edge) -> tuple[float, str | None]:
        """(likeness from which this edge is linked, why it is never linked or None): the stricter scope of its two offers counts."""
        found = [self.promises.get(name) for offer_id in (edge.left_id, edge.right_id) for name in self._names(offer_id)]
        promises = [promise for promise in found if promise is not None]
        unmet = next((promise for promise in promises if promise.threshold is None), None)
        if unmet is not None:
            return NEVER, f"no promise can be kept yet: {unmet.missing} more right answers needed"
        return max([promise.threshold or 0.0 for promise in promises] or [self.accept]), None

    def _names(self, offer_id: str) -> Iterator[str]:
        """The promises that must hold for an offer: that of its scope, and where its feed came later that of what was audited since."""
        scope = self.scope_of.get(offer_id, EVERYTHING)
        yield scope
        came = self.late.get(offer_id.partition(":")[0])
        if came is not None:
            yield _name_since(scope, came)

    @property
    def key(self) -> str:
        """Short text that differs where any decision could differ."""
        described = {name: promise.threshold for name, promise in sorted(self.promises.items())}
        if not described:
            return ""
        scopes = hashlib.sha256(json.dumps(sorted(self.scope_of.items())).encode()).hexdigest()[:8] if self.scope_of else ""
        return json.dumps(described, sort_keys=True) + scopes


def thresholds(con: duckdb.DuckDBPyConnection, policy: Policy, pairs: str = "pairs") -> Thresholds:
    """What holds now, from the settings and the audits in force; `con` shows the run's offers, facts and pairs, its overrides, what was asked blind
    and whose answers are held back; `pairs` names another table of scores of ours.
    """
    wanted = {_name(scope): scope.promise for scope in policy.scopes}
    if policy.promise is not None:
        wanted[EVERYTHING] = policy.promise
    if not wanted:
        return Thresholds(policy.accept)
    scope_of: dict[str, str] = {}
    for scope in policy.scopes:
        for (offer_id,) in con.execute(_IN_SCOPE, {"supplier": scope.supplier, "category": scope.category}).fetchall():
            scope_of.setdefault(offer_id, _name(scope))
    audits = con.execute(_SCORED.format(pairs=pairs)).fetchall()
    late: dict[str, int] = dict(con.execute(_LATE).fetchall())
    came = {run: ", ".join(feed for feed, its_run in late.items() if its_run == run) for run in late.values()}
    promises = {}
    for name, promise in wanted.items():
        inside = [one for one in audits if name in (scope_of.get(one[0], EVERYTHING), scope_of.get(one[1], EVERYTHING))]
        promises[name] = _solved(promise, inside)
        for run, feeds in came.items():
            promises[_name_since(name, feeds)] = _solved(promise, [one for one in inside if one[-1] >= run])
    return Thresholds(policy.accept, promises, scope_of, {feed: came[run] for feed, run in late.items()})


def _solved(promise: Promised, audits: list[tuple[Any, ...]]) -> Promise:
    scores, right = np.array([audit[2] for audit in audits]), np.array([audit[3] for audit in audits], dtype=bool)
    return solve(scores, right, precision=promise.precision, confidence=promise.confidence)


def _name_since(scope: str, feeds: str) -> str:
    return f"{scope}, for {feeds}, which came later"


def _name(scope: Scope) -> str:
    return " of ".join(part for part in (scope.category, scope.supplier) if part)
