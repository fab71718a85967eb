"""The digests of the three rituals, as Markdown from the tables; what no table holds yet is said to be missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from endcap import metrics
from endcap.metrics import Figure
from endcap.problems import BadInput
from endcap.review.quota import OWN_GOODS

ROWS_SHOWN = 10
NOTHING = "Nothing."
SHARED_METRICS = ("tail_coverage", "override_rate", "time_to_resolve", "automated_success")


@dataclass(frozen=True, slots=True)
class Digest:
    """One ritual's text at one snapshot."""

    ritual: str
    snapshot_id: str | None
    markdown: str

    def summary(self) -> str:
        """The text itself."""
        return self.markdown

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def digest(con: duckdb.DuckDBPyConnection, ritual: str) -> Digest:
    """See `endcap.govern.digest`."""
    if ritual not in RITUALS:
        raise BadInput(f"there is no digest {ritual!r}", where="digest", todo=f"name one of {', '.join(RITUALS)}")
    title, sections = RITUALS[ritual]
    found = con.execute('SELECT snapshot_id, run, created_at FROM snapshots WHERE "current"').fetchone()
    head = f"Snapshot {found[0]}, run {found[1]}, published {found[2]}." if found else "No snapshot yet."
    parts = [f"# {title}", head, *(f"## {name}\n{write(con)}" for name, write in sections.items())]
    return Digest(ritual, found[0] if found else None, "\n\n".join(parts) + "\n")


def _metrics(con: duckdb.DuckDBPyConnection) -> str:
    figures = [figure for figure in metrics.measure(con) if figure.name.split(".")[0] in SHARED_METRICS]
    was = _figures_before(con)
    lines = [f"- {figure.label}: {figure.shown()}{_moved(figure, was.get(figure.name))}" for figure in figures]
    return "\n".join([*lines, "", "Intervals are 95 %. The change is against the run before; a baseline is not declared yet."])


def _figures_before(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """The figures that the run before the newest done one recorded."""
    rows = con.execute("SELECT figures_json FROM runs WHERE state = 'done' ORDER BY run DESC LIMIT 2").fetchall()
    recorded = json.loads(rows[1][0] or "{}") if len(rows) == 2 else {}
    return {figure["name"]: figure for figure in recorded.get("metrics", [])}


def _moved(figure: Figure, was: dict[str, Any] | None) -> str:
    if figure.value is None or was is None or was.get("value") is None or was.get("version") != figure.version:
        return ""
    scale, unit = (100, "points") if figure.unit == "share" else (1, figure.unit)
    return f", {scale * (figure.value - was['value']):+.1f} {unit}"


def _held(con: duckdb.DuckDBPyConnection) -> str:
    return _list(con, """
        SELECT supplier || ', ' || date || ': ' || reason FROM deliveries d WHERE state = 'held'
          AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.feed = d.feed AND n.state = 'accepted' AND n.date >= d.date)
        ORDER BY date, supplier""")  # fmt: skip


def _quarantine(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(f"""
        SELECT d.supplier, q.code, count(*), min(q.reason) FROM quarantined q JOIN deliveries d ON d.delivery_id = q.delivery_id
        WHERE d.date = (SELECT max(n.date) FROM deliveries n WHERE n.feed = d.feed AND n.state = 'accepted')
        GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT {ROWS_SHOWN}""").fetchall()  # fmt: skip
    return _table(("supplier", "code", "records", "for example"), rows)


def _promotions(con: duckdb.DuckDBPyConnection) -> str:
    steps = _list(con, f"""
        SELECT "at" || ': ' || kind || ' ' || action || coalesce(' ' || scope, '') || ' ' || model_id || ' by ' || actor
               || coalesce(', instead of ' || previous, '') || coalesce(', proposal ' || proposal_id, '') || '. ' || reason
        FROM promotions ORDER BY promotion_id DESC LIMIT {ROWS_SHOWN}""")  # fmt: skip
    ((overruled, broken),) = con.execute("""
        SELECT (SELECT count(DISTINCT proposal_id) FROM proposal_events WHERE details_json LIKE '%"overruled"%'),
               (SELECT count(*) FROM postmortems WHERE cause = 'break_glass')""").fetchall()
    return steps if steps == NOTHING else f"{steps}\n\nVerdicts overruled so far: {overruled:,}; broken glasses: {broken:,}."


def _proposals(con: duckdb.DuckDBPyConnection) -> str:
    """Open proposals by owner, the oldest first, with what was written, decided and promoted in the last week of the record."""
    rows = con.execute(f"""
        SELECT owner, proposal_id, state, date_diff('day', created_at::TIMESTAMPTZ, newest::TIMESTAMPTZ) AS days, coalesce(verdict, ''), hypothesis
        FROM proposals, (SELECT greatest(max(created_at), (SELECT max(finished_at) FROM runs)) AS newest FROM proposals)
        WHERE state NOT IN ('confirmed', 'failed', 'rolled_back', 'rejected', 'withdrawn', 'superseded')
        ORDER BY owner, created_at, proposal_id LIMIT {ROWS_SHOWN}""").fetchall()  # fmt: skip
    table = _table(("owner", "proposal", "state", "days", "verdict", "hypothesis"), rows)
    week = con.execute("""
        SELECT state, count(*) FROM proposal_events, (SELECT max("at") AS newest FROM proposal_events)
        WHERE "at"::TIMESTAMPTZ > newest::TIMESTAMPTZ - INTERVAL 7 DAY AND details_json NOT LIKE '%"note"%' GROUP BY state ORDER BY state""").fetchall()
    return table + (f"\n\nSteps in the last week: {', '.join(f'{count:,} {state}' for state, count in week)}." if week else "")


def _postmortems(con: duckdb.DuckDBPyConnection) -> str:
    return _list(con, """
        SELECT 'Postmortem ' || postmortem_id || ' of ' || owner || ', due ' || due_on || ' (' || cause || '): ' || title
        FROM postmortems WHERE closed_at IS NULL ORDER BY due_on, postmortem_id""")  # fmt: skip


def _alarms(con: duckdb.DuckDBPyConnection) -> str:
    return _list(con, f"""
        SELECT name || ' in ' || scope || ' since run ' || run || ': ' || words || '; likely ' || cause FROM alarms WHERE closed_at IS NULL
        ORDER BY alarm_id DESC LIMIT {ROWS_SHOWN}""")  # fmt: skip


def _open_loops(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(f"""
        SELECT owner, loop_id, title, opened_at, CASE WHEN verified_at IS NOT NULL THEN 'verified' WHEN in_snapshot_at IS NOT NULL THEN 'in snapshot'
               WHEN decided_at IS NOT NULL THEN 'decided' WHEN acknowledged_at IS NOT NULL THEN 'acknowledged' ELSE 'open' END, reopened
        FROM loops WHERE closed_at IS NULL AND duplicate_of IS NULL ORDER BY owner, opened_at, loop_id LIMIT {ROWS_SHOWN}""").fetchall()  # fmt: skip
    return _table(("owner", "loop", "problem", "opened", "state", "reopened"), rows)


def _switched_off(con: duckdb.DuckDBPyConnection) -> str:
    return _list(con, """
        SELECT scope || ' since ' || "at" || ' by ' || actor || ': ' || reason FROM switches
        QUALIFY row_number() OVER (PARTITION BY scope ORDER BY switch_id DESC) = 1 AND NOT automation ORDER BY scope""")  # fmt: skip


def _own_goods(con: duckdb.DuckDBPyConnection) -> str:
    return _list(con, f"""
        SELECT actor || ' of ' || team || ' answered ' || count(*) || ' times about offers of their own team' FROM overrides
        WHERE override_id IN ({OWN_GOODS}) GROUP BY actor, team ORDER BY count(*) DESC, actor LIMIT {ROWS_SHOWN}""")  # fmt: skip


def _decisions_asked(con: duckdb.DuckDBPyConnection) -> str:
    """What a meeting must settle: proposals without a decision, held deliveries, the review queue."""
    lines = _column(con, """
        SELECT 'Proposal ' || proposal_id || ' of ' || owner || ': ' || hypothesis || CASE state WHEN 'proposed' THEN ' Accept it?'
               WHEN 'accepted' THEN ' Who validates it?' ELSE ' The verdict is ' || coalesce(verdict, 'missing') || '. Promote it?' END
        FROM proposals WHERE state IN ('proposed', 'accepted', 'validated', 'shadow', 'canary') ORDER BY proposal_id""")  # fmt: skip
    lines += _column(con, "SELECT 'Postmortem ' || postmortem_id || ' waits for ' || owner || ' until ' || due_on FROM postmortems "
                     "WHERE closed_at IS NULL ORDER BY due_on, postmortem_id")  # fmt: skip
    lines += _column(con, "SELECT 'Release or refuse the delivery of ' || supplier || ' of ' || date FROM deliveries d WHERE state = 'held' AND NOT EXISTS "
                     "(SELECT 1 FROM deliveries n WHERE n.feed = d.feed AND n.state = 'accepted' AND n.date >= d.date) ORDER BY 1")  # fmt: skip
    lines += _column(
        con,
        "SELECT 'Who answers ' || count(*) || ' doubtful decisions (' || kind || ')?' FROM decisions WHERE action = 'to_review' GROUP BY kind ORDER BY kind",
    )
    return _bullets(lines)


def _handoff(con: duckdb.DuckDBPyConnection) -> str:
    found = con.execute('SELECT snapshot_id, parent, content_hash, published_json FROM snapshots WHERE "current"').fetchone()
    if found is None:
        return "No snapshot was published yet."
    snapshot_id, parent, content_hash, published_json = found
    published = json.loads(published_json or "{}")
    diff = published.get("diff", {})
    counts = ", ".join(f"{diff[kind]:,} {kind}" for kind in ("added", "removed", "changed", "merged", "unchanged") if kind in diff)
    columns = ", ".join(f"{name} {count:,}" for name, count in diff.get("changed_columns", {}).items())
    return _bullets([
        f"Snapshot {snapshot_id}, content {content_hash[:12]}, parent {parent or 'none'}",
        f"Products: {published.get('products', 0):,}; against the parent: {counts or 'no difference was recorded'}",
        f"Changed columns: {columns or 'none'}",
        f"Redirected ids: {published.get('redirects', 0):,}",
        *(f"File {name}: sha256 {digest}" for name, digest in sorted(published.get("files", {}).items())),
    ])  # fmt: skip


def _handoff_missing(_con: duckdb.DuckDBPyConnection) -> str:
    return _bullets(
        [
            "Embeddings and their drift: none are published yet",
            "Canary queries: none are defined yet",
            "Acknowledgements and lag of consumers: none was received yet",
        ]
    )


def _loops_by_month(con: duckdb.DuckDBPyConnection) -> str:
    opened, closed = con.execute("SELECT count(*), count(closed_at) FROM loops WHERE duplicate_of IS NULL").fetchone() or (0, 0)
    figures = [figure for figure in metrics.measure(con) if figure.name.startswith("time_to_resolve")]
    return _bullets([f"{opened:,} reported, {closed:,} closed", *(f"{figure.label}: {figure.shown()}" for figure in figures)])


def _said_and_did(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(f"""
        SELECT o.actor, o.action, coalesce(f.title, o.offer_id),
               CASE WHEN d.override_id = o.override_id THEN 'in this snapshot' ELSE 'waits for the next run' END
        FROM overrides o LEFT JOIN offers f ON f.offer_id = o.offer_id
        LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
        WHERE o.undoes IS NULL AND o.override_id NOT IN (SELECT undoes FROM overrides WHERE undoes IS NOT NULL)
        ORDER BY o.override_id DESC LIMIT {ROWS_SHOWN}""").fetchall()  # fmt: skip
    return _table(("who said", "what", "of the offer", "what we did"), rows)


def _reasons(con: duckdb.DuckDBPyConnection) -> str:
    rows = con.execute(
        f"SELECT coalesce(nullif(reason_code, ''), 'not given'), count(*) FROM overrides WHERE undoes IS NULL "
        f"GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT {ROWS_SHOWN}"
    ).fetchall()
    return _table(("reason", "answers"), rows)


def _tail(con: duckdb.DuckDBPyConnection) -> str:
    figures = [figure for figure in metrics.measure(con) if figure.name == "tail_coverage"]
    rows = [
        (part.name, f"{100 * part.value:.1f} %", part.n) for figure in figures for part in figure.slices if part.by == "category" and part.value is not None
    ]
    return _table(("category", "tail coverage", "n"), sorted(rows, key=lambda row: (-row[2], row[0]))[:ROWS_SHOWN])


RITUALS: dict[str, tuple[str, dict[str, Callable[[duckdb.DuckDBPyConnection], str]]]] = {
    "catalog-sync": ("Catalog systems sync", {
        "The shared metrics": _metrics, "Held deliveries": _held, "Quarantine of the newest deliveries": _quarantine,
        "Drift": _alarms, "Proposals": _proposals, "Promotions": _promotions, "Postmortems": _postmortems, "Automation is off": _switched_off,
        "Oldest open loops": _open_loops, "Answers about one's own goods": _own_goods, "The decisions asked today": _decisions_asked,
    }),
    "handoff": ("Hand-off to search and recommendation", {"What is handed over": _handoff, "What is missing": _handoff_missing}),
    "retail": ("Retail feedback forum", {
        "Reported problems": _loops_by_month, "You said, we did": _said_and_did, "Reasons of answers": _reasons,
        "Tail by category": _tail, "Next asks": _decisions_asked,
    }),
}  # fmt: skip


def _list(con: duckdb.DuckDBPyConnection, query: str) -> str:
    return _bullets(_column(con, query))


def _column(con: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [row[0] for row in con.execute(query).fetchall()]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_inert(line)}" for line in lines) or NOTHING


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return NOTHING
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(_inert(cell).replace("|", "\\|") for cell in row) + " |" for row in rows])


def _inert(cell: Any) -> str:
    """A supplier's or person's text on one line in which no Markdown reader finds markup."""
    text = f"{cell:,}" if isinstance(cell, int) else str(cell)
    return " ".join(text.replace("<", "&lt;").replace("[", "\\[").replace("`", "'").split())
