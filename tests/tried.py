"""Challengers made for tests: better or worse than the champion on purpose, and what a catalog's tables hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from endcap import schema, settings
from endcap.lake.tables import full_content
from endcap.match import Model, fit_labelled
from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES, PROMOTIONS
from endcap.review.audit import AuditItem, answer_audit, draw
from endcap.review.override import answer
from endcap.review.queue import waiting

DECIDED = ("decisions", "pairs", "facts")


def home_of(folder: Path) -> Home:
    return Home(settings.read(folder))


def truth_of(home: Home) -> dict[str, str]:
    with home.connect() as con:
        return dict(
            con.execute(f"SELECT offer_id, product FROM read_csv('{home.catalog.root}/truth/offers.csv', header = true, all_varchar = true)").fetchall()
        )


def challenger(home: Home, *, wrong: float = 0.0, seed: int = 7, times: int = 1) -> str:
    """A model fitted on the truth of every stored pair, of which it is told that share wrongly, so many times; stored, and not promoted."""
    truth = truth_of(home)
    with home.connect() as con:
        rows = con.execute("SELECT left_id, right_id, features, conflict FROM pairs ORDER BY left_id, right_id").fetchall()
    base = Model.load(home.model_folder(str(home.champion("match"))))
    features = np.array([row[2][: len(base.first_names)] for row in rows], dtype=np.float32)
    same = np.array([left in truth and truth.get(left) == truth.get(right) for left, right, *_rest in rows])
    flipped = np.random.default_rng(seed).random(same.size) < wrong
    model = fit_labelled(features, np.where(flipped, ~same, same).astype(float), seed=seed, base=base)
    model = replace(model, parts=(model.parts[0], *model.parts[1:] * times))
    model.save(home.model_folder(model.model_id))
    return model.model_id


def content(home: Home, tables: tuple[str, ...] = DECIDED) -> dict[str, tuple[int, str]]:
    """Row count and content hash of tables, from nothing."""
    with home.connect() as con:
        return {name: full_content(con, schema.BY_TABLE[name]) for name in tables}


def products(home: Home, known: set[str] | None = None) -> dict[str, tuple[object, ...]]:
    """What is served of each product, or of those known before."""
    with home.connect() as con:
        rows = con.execute("SELECT * EXCLUDE (run, gone) FROM products ORDER BY product_id").fetchall()
    return {row[0]: row[1:] for row in rows if known is None or row[0] in known}


def places(home: Home) -> dict[str, tuple[str, str | None]]:
    with home.connect() as con:
        return {
            row[0]: row[1:] for row in con.execute("SELECT offer_id, action, product_id FROM decisions WHERE kind = 'product' ORDER BY 1").fetchall()
        }  # fmt: skip


def put(home: Home, model_id: str, action: str, *, scope: str | None = None, actor: str = "tester") -> None:
    """A row of the record of promotions, as the gate writes it."""
    row = {"kind": "match", "model_id": model_id, "previous": home.champion("match"), "action": action, "actor": actor, "reason": "a test"}
    with home.engine.begin() as connection:
        connection.execute(insert(PROMOTIONS).values(**row, data_version="", at=now(), scope=scope))


def decisions_of(home: Home, without: set[str]) -> dict[tuple[str, str], tuple[object, ...]]:
    """All that is decided of offers, but of those."""
    with home.connect() as con:
        rows = con.execute("SELECT * EXCLUDE (run, gone) FROM decisions ORDER BY offer_id, kind").fetchall()
    return {(row[0], row[1]): row[2:] for row in rows if row[0] not in without}


def spoken_of(home: Home) -> set[str]:
    """Offers of which anybody said anything."""
    rows = home.rows(OVERRIDES).to_pylist()
    return {one for row in rows for one in (row["offer_id"], row["counterpart_offer_id"]) if one}


def audited(home: Home, count: int, *, actor: str = "tester") -> int:
    """Answer that many audits by the truth; out: how many there were."""
    truth = truth_of(home)
    with home.connect() as con:
        items = draw(con, count, seed=7)
    for one in items:
        answer_audit(home, one, same=truly(one, truth), actor=actor)
    return len(items)


def truly(item: AuditItem, truth: dict[str, str]) -> int:
    """The number of the first choice of an audit that is the same product in truth; 0 where none is."""
    asked = truth[item.offer.offer_id]
    return next((number for number, (side, _product) in enumerate(item.choices, start=1) if truth[side.offer_id] == asked), 0)


def answered(home: Home, feed: str) -> int:
    """Answer what waits of a feed by the truth; out: how many there were."""
    truth = truth_of(home)
    with home.connect() as con:
        items = [item for item in waiting(con, home.manifest().override_sequence) if item.offer_id.startswith(f"{feed}:")]
    for item in items:
        right = [place for place, one in enumerate(item.candidates, start=1) if truth.get(one.counterpart_offer_id or "") == truth.get(item.offer_id)]
        action = "new" if not right else "same" if right[0] == 1 else "other"
        answer(home, item, action, actor="tester", candidate=right[0] if right else 1)
    return len(items)
