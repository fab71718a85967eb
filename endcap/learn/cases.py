"""Cases by which a challenger is judged: audited pairs and answers that taught nothing, each decided again under champion and challenger alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from endcap.decide.deciding import Ruling
from endcap.decide.promised import AUDIT
from endcap.learn.verdict import Tally
from endcap.review.quota import OWN_GOODS

RIGHT, WRONG, ASKED = "right", "wrong", "asked"
BANDS = (0.5, 0.85, 0.95, 0.99)
# The head are the largest products, which hold this share of all offers.
HEAD_SHARE = 0.8
SUPPLIER, CATEGORY, BAND, REACH = "supplier", "category", "confidence", "reach"


@dataclass(frozen=True, slots=True)
class Case:
    """Two offers of which a person said, without having been asked by the model that is judged, whether they are one product."""

    offer_id: str
    other_id: str
    same: bool
    override_id: int
    source: str  # audit | answer | loop
    slices: tuple[tuple[str, str], ...] = ()  # (by, name)

    @property
    def key(self) -> tuple[str, str]:
        return min(self.offer_id, self.other_id), max(self.offer_id, self.other_id)


_STANDING = f"""
    SELECT o.offer_id, o.counterpart_offer_id, o.action IN ('same', 'other') AS same, o.override_id, o.reason_code = '{AUDIT}' AS audited
    FROM overrides o SEMI JOIN offers l ON l.offer_id = o.offer_id SEMI JOIN offers r ON r.offer_id = o.counterpart_offer_id
    WHERE o.action IN ('same', 'other', 'different', 'new') AND o.field IS NULL AND o.counterpart_offer_id <> o.offer_id
      AND o.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
      AND o.actor NOT IN (SELECT person FROM reviewer_holds GROUP BY person HAVING arg_max(held, hold_id))
      AND o.override_id NOT IN ({OWN_GOODS})
    QUALIFY row_number() OVER (PARTITION BY least(o.offer_id, o.counterpart_offer_id), greatest(o.offer_id, o.counterpart_offer_id)
                               ORDER BY o.override_id DESC) = 1
    ORDER BY o.override_id
"""
# What people and gold sets ever taught: a label may have ended since a challenger learned from it, and the challenger knows it still. Two offers that
# only share a GTIN taught so lightly that only the very pair counts.
_TAUGHT = f"""
    SELECT left_id, right_id, bool_or(source IN ('override', 'second', 'gold')) AS by_people FROM labels_log
    WHERE NOT gone AND source <> '{AUDIT}' AND weight > 0 GROUP BY ALL ORDER BY ALL
"""
_PRODUCTS = "SELECT offer_id, product_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL"


def fair_cases(con: duckdb.DuckDBPyConnection, *, taught: bool = True) -> list[Case]:
    """Audits, and answers that no model was taught: those whose products no label ever named. `taught` is False for a change that learned nothing."""
    standing = con.execute(_STANDING).fetchall()
    if not taught:
        return [Case(row[0], row[1], row[2], row[3], AUDIT if row[4] else "answer") for row in standing]
    labels = con.execute(_TAUGHT).fetchall()
    product_of = dict(con.execute(_PRODUCTS).fetchall())
    pairs = {(left, right) for left, right, _by_people in labels}
    known = {tie for left, right, by_people in labels if by_people for one in (left, right) for tie in (one, product_of.get(one)) if tie}
    cases = [Case(row[0], row[1], row[2], row[3], AUDIT if row[4] else "answer") for row in standing]
    return [
        case for case in cases
        if case.key not in pairs and known.isdisjoint({case.offer_id, case.other_id, product_of.get(case.offer_id), product_of.get(case.other_id)})
    ]  # fmt: skip


def closed_loops(con: duckdb.DuckDBPyConnection) -> dict[int, Case]:
    """The case of every closed loop about two live offers: it must hold under any champion, for ever."""
    rows = con.execute("""
        SELECT loop_id, offer_id, counterpart_offer_id, expected = 'same', coalesce(override_id, 0) FROM loops
        SEMI JOIN offers l USING (offer_id) SEMI JOIN offers r ON r.offer_id = loops.counterpart_offer_id
        WHERE closed_at IS NOT NULL AND verified_at IS NOT NULL AND expected IN ('same', 'different') ORDER BY loop_id
    """).fetchall()
    return {row[0]: Case(row[1], row[2], row[3], row[4], "loop") for row in rows}


def sliced(con: duckdb.DuckDBPyConnection, cases: Sequence[Case]) -> list[Case]:
    """The cases with the slices they lie in: supplier, category, band of the champion's confidence, and whether their product has many offers."""
    con.register("cases", pa.table({"offer_id": pa.array([case.offer_id for case in cases], pa.string()),
                                    "other_id": pa.array([case.other_id for case in cases], pa.string())}))  # fmt: skip
    rows = con.execute(f"""
        WITH sizes AS (SELECT product_id, count(*) AS size FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL GROUP BY product_id),
             held AS (SELECT size, sum(size) AS offers FROM sizes GROUP BY size),
             reached AS (SELECT size, sum(offers) OVER (ORDER BY size DESC) - offers AS larger FROM held),
             head AS (SELECT min(size) AS least FROM reached WHERE larger < {HEAD_SHARE} * (SELECT sum(size) FROM sizes))
        SELECT o.supplier, coalesce(f.value, ''), p.score, coalesce(s.size >= (SELECT least FROM head), false)
        FROM cases c JOIN offers o USING (offer_id) LEFT JOIN facts f ON f.offer_id = c.offer_id AND f.attribute = 'category'
        LEFT JOIN pairs p ON p.left_id = least(c.offer_id, c.other_id) AND p.right_id = greatest(c.offer_id, c.other_id)
        LEFT JOIN decisions d ON d.offer_id = c.offer_id AND d.kind = 'product' LEFT JOIN sizes s USING (product_id)
        ORDER BY c.offer_id, c.other_id
    """).fetchall()
    ordered = sorted(cases, key=lambda case: (case.offer_id, case.other_id))
    return [
        Case(case.offer_id, case.other_id, case.same, case.override_id, case.source,
             ((SUPPLIER, supplier), (CATEGORY, category or "none"), (BAND, _band(score)), (REACH, "head" if head else "tail")))
        for case, (supplier, category, score, head) in zip(ordered, rows, strict=True)
    ]  # fmt: skip


def around(con: duckdb.DuckDBPyConnection, cases: Iterable[Case], pairs: Sequence[str], least: float) -> pa.Array:
    """Offers to decide again for these cases: their own, those they may be linked to under any of the tables `pairs`, and all of their products."""
    named = sorted({one for case in cases for one in case.key})
    con.register("named", pa.table({"offer_id": pa.array(named, pa.string())}))
    ends = " UNION ALL ".join(
        f"SELECT left_id AS one, right_id AS other FROM {table} WHERE score >= {least} UNION ALL SELECT right_id, left_id FROM {table} WHERE score >= {least}"
        for table in pairs
    )
    found = con.sql(f"""
        WITH near AS (SELECT offer_id FROM named UNION SELECT e.other FROM ({ends}) e SEMI JOIN named n ON n.offer_id = e.one),
             wide AS (SELECT offer_id FROM near UNION SELECT d.offer_id FROM decisions d WHERE d.kind = 'product' AND d.product_id IN (
                      SELECT product_id FROM decisions SEMI JOIN near USING (offer_id) WHERE kind = 'product' AND product_id IS NOT NULL))
        SELECT offer_id FROM offers SEMI JOIN wide USING (offer_id) ORDER BY offer_id
    """)
    return found.to_arrow_table()["offer_id"].combine_chunks()


def without(overrides: pa.Table, cases: Iterable[Case]) -> pa.Table:
    """The answers without what people said of the cases, so that nobody's word but the model's decides them."""
    pairs, said = {case.key for case in cases}, {case.override_id for case in cases}
    keep = [
        row["override_id"] not in said and (row["counterpart_offer_id"] is None or _key(row["offer_id"], row["counterpart_offer_id"]) not in pairs)
        for row in overrides.select(["override_id", "offer_id", "counterpart_offer_id"]).to_pylist()
    ]
    return overrides.filter(pa.array(keep, pa.bool_()))


def outcome(case: Case, rulings: Mapping[str, Ruling]) -> str:
    """What a replay made of a case; to ask a person is neither right nor wrong."""
    one, other = rulings[case.offer_id], rulings[case.other_id]
    if "to_review" in (one.action, other.action):
        return ASKED
    return RIGHT if (one.product_id == other.product_id) == case.same else WRONG


def holds(case: Case, rulings: Mapping[str, Ruling]) -> bool:
    """Whether a closed loop's case comes out right: together, or not together."""
    made = outcome(case, rulings)
    return made == RIGHT or (made == ASKED and not case.same)


def tally(by: str, name: str, pairs: Iterable[tuple[str, str]], good: Callable[[str], bool]) -> Tally:
    """Count (champion's outcome, challenger's outcome) by who did well."""
    counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for champion, challenger in pairs:
        counts[good(champion), good(challenger)] += 1
    return Tally(by, name, sum(counts.values()), counts[True, True], counts[True, False], counts[False, True])


def _key(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)


def _band(score: float | None) -> str:
    if score is None:
        return "not compared"
    low = max((edge for edge in BANDS if score >= edge), default=0.0)
    high = min((edge for edge in BANDS if score < edge), default=1.0)
    return f"{low:g} to {high:g}"
