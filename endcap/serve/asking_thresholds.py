"""What is asked of thresholds: how many decisions lie above each, what audits say there, and which would change side."""

from __future__ import annotations

import json
from typing import Any

from endcap.decide.in_force import at_snapshot
from endcap.decide.promise import lower_bound
from endcap.decide.promised import AUDITED
from endcap.serve import answers_thresholds as answers
from endcap.serve.charts import interval
from endcap.serve.reading import Reading

# The grid is counted in hundredths of a percent, as likeness is stored, so that a band's edge is exact.
LEAST, MOST, STEP, ONE = 5_000, 10_000, 50, 10_000
PROVED = 0.9
SAMPLES = 20

_DECIDED = """
    SELECT offer_id, counterpart_offer_id, action, reason, CAST(round(confidence * 10000) AS INTEGER) AS likeness FROM decisions
    WHERE kind = 'product' AND decided_by = 'machine' AND counterpart_offer_id IS NOT NULL
      AND (action = 'linked' OR reason_code IN ('doubtful', 'no_promise'))
"""


def curve(reading: Reading) -> answers.Curve:
    """Counts and audits by band and by threshold."""
    policy = at_snapshot(reading.home).policy
    newest = reading.row("SELECT max(override_id) AS override FROM overrides")
    bands: list[answers.Band] = reading.keep("bands of likeness", _bands, until=newest)
    done = reading.row("SELECT figures_json FROM runs WHERE state = 'done' ORDER BY attempt_id DESC LIMIT 1") or {}
    notices = [one for one in json.loads(done.get("figures_json") or "{}").get("notices", []) if "promised" in one]
    promised = dict(one.split(": ", 1) for one in notices if ": " in one)
    return answers.Curve(snapshot=reading.snapshot_id, accept=policy.accept, promised=promised, step=STEP / ONE, bands=bands, cuts=_cuts(bands))


def samples(reading: Reading, low: float, high: float) -> answers.Samples:
    """Up to SAMPLES decisions from `low` on and below `high`, evenly over them."""
    between = [round(low * ONE), round(high * ONE)]
    found = reading.rows(f"""
        WITH those AS (SELECT *, row_number() OVER (ORDER BY likeness, offer_id) AS place, count(*) OVER () AS found
                       FROM ({_DECIDED}) WHERE likeness >= ? AND likeness < ?)
        SELECT t.*, o.title, o.supplier, c.title AS counterpart_title FROM those t JOIN offers o USING (offer_id)
        LEFT JOIN offers c ON c.offer_id = t.counterpart_offer_id
        WHERE (place * {SAMPLES}) // found <> ((place - 1) * {SAMPLES}) // found ORDER BY place
    """, between)  # fmt: skip
    return answers.Samples(
        snapshot=reading.snapshot_id, low=low, high=high, found=found[0]["found"] if found else 0,
        samples=[
            answers.Sample(
                **{name: row[name] for name in ("offer_id", "title", "supplier", "counterpart_offer_id", "action", "reason")},
                counterpart_title=row["counterpart_title"] or "no longer offered", likeness=row["likeness"] / ONE,
            ) for row in found
        ],
    )  # fmt: skip


def change_of_side(reading: Reading, now: float, then: float) -> str:
    """What a threshold would change, in words."""
    low, high = sorted((round(now * ONE), round(then * ONE)))
    action = "linked" if then > now else "to_review"
    found = reading.row(f"SELECT count(*) AS n FROM ({_DECIDED}) WHERE likeness >= ? AND likeness < ? AND action = ?", [low, high, action]) or {"n": 0}
    return f"leave {found['n']:,} more offers to a person" if then > now else f"link {found['n']:,} more offers by machine"


def _bands(reading: Reading) -> list[answers.Band]:
    rows = reading.rows(f"SELECT likeness // {STEP} AS band, action = 'linked' AS linked, count(*) AS n FROM ({_DECIDED}) GROUP BY ALL")
    counted = {(min(row["band"], MOST // STEP - 1), row["linked"]): 0 for row in rows}
    for row in rows:
        counted[min(row["band"], MOST // STEP - 1), row["linked"]] += row["n"]
    audited: dict[int, list[bool]] = {}
    for row in reading.rows(f"SELECT score, same FROM ({AUDITED}) AS audits"):
        audited.setdefault(min(round(row["score"] * ONE) // STEP, MOST // STEP - 1), []).append(row["same"])
    return [_band(place, counted, audited.get(place, [])) for place in range(LEAST // STEP, MOST // STEP)]


def _band(place: int, counted: dict[tuple[int, bool], int], audits: list[bool]) -> answers.Band:
    n, right = len(audits), sum(audits)
    least, most = interval(right, n) if n else (None, None)
    return answers.Band(
        low=place * STEP / ONE, high=(place + 1) * STEP / ONE, linked=counted.get((place, True), 0), asked=counted.get((place, False), 0),
        audited=n, right=right, least=least, most=most,
    )  # fmt: skip


def _cuts(bands: list[answers.Band]) -> list[answers.Cut]:
    everything = sum(band.linked + band.asked for band in bands)
    found: list[answers.Cut] = []
    linked = audited = right = 0
    for band in reversed(bands):
        linked, audited, right = linked + band.linked + band.asked, audited + band.audited, right + band.right
        bound: Any = lower_bound(right, audited, PROVED) if audited else None
        found.append(answers.Cut(threshold=band.low, linked=linked, share=linked / max(everything, 1), audited=audited, right=right, bound=bound))
    return found[::-1]
