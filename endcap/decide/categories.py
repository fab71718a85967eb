"""Decisions on the categories of offers: by the machine where it is sure enough, by a person's word on the product where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from endcap import schema
from endcap.decide.answers import FieldAnswer
from endcap.decide.fields import BY_PERSON
from endcap.decide.policy import policy_id
from endcap.decide.switched import CODE as AUTOMATION_OFF
from endcap.settings import Policy

FIELD = "category"


def category_rows(
    con: duckdb.DuckDBPyConnection, policy: Policy, members: Mapping[str, str], spoken: set[str], said: Mapping[tuple[str, str], FieldAnswer], run: int,
    off: Mapping[str, str] | None = None, reread: Iterable[str] = (),
) -> pa.Table:  # fmt: skip
    """Decision rows on the category of every open offer that has a category fact, and of the offers of products that people spoke of.

    `members` maps offers of touched products to them, `spoken` are products of which something was said or taken back since the last run,
    `said` is what holds of a product's field. What a person said of the product holds for each of its offers. About offers that are `off` a
    person is asked, but for a category that was accepted before. `reread` are offers of which other facts are believed now.
    """
    told = {offer_id: product_id for offer_id, product_id in members.items() if product_id in spoken}
    con.register("told_ids", pa.table({"offer_id": pa.array(sorted({*told, *reread}), pa.string())}))
    rows = con.sql(f"""
        SELECT f.offer_id, 'category' AS kind, CASE WHEN f.confidence >= {policy.accept_category} THEN 'accepted' ELSE 'to_review' END AS action,
               NULL AS product_id, NULL AS proposed_product_id, NULL AS counterpart_offer_id, f.value, f.confidence,
               CASE WHEN f.confidence >= {policy.accept_category} THEN 'sure' ELSE 'doubtful' END AS reason_code,
               f.extractor || ' is ' || printf('%.2f', f.confidence) || ' sure' AS reason, 'machine' AS decided_by, NULL AS override_id,
               f.model, '{policy_id(policy)}' AS policy, o.identity_hash, {run} AS run, false AS gone
        FROM facts f SEMI JOIN (SELECT offer_id FROM open_ids UNION SELECT offer_id FROM told_ids) USING (offer_id) JOIN offers o USING (offer_id)
        WHERE f.attribute = '{FIELD}' ORDER BY f.offer_id
    """).to_arrow_table()
    if off:
        rows = _asked(con, rows, off)
    wanted = schema.arrow_schema(schema.Decision)
    answers = {offer_id: said[(product_id, FIELD)] for offer_id, product_id in members.items() if (product_id, FIELD) in said}
    answered = pc.is_in(rows["offer_id"], pa.array(sorted(answers), pa.string()))
    by_person = [_by_person(row, answers[row["offer_id"]]) for row in rows.filter(answered).to_pylist()]
    return pa.concat_tables([rows.filter(pc.invert(answered)).cast(wanted), pa.Table.from_pylist(by_person, schema=wanted)])


def _asked(con: duckdb.DuckDBPyConnection, rows: pa.Table, off: Mapping[str, str]) -> pa.Table:
    """The rows with what the machine would newly accept of offers that are off left to a person."""
    con.register("switched_off", pa.table({"offer_id": pa.array(list(off), pa.string()), "why": pa.array(list(off.values()), pa.string())}))
    con.register("sure_categories", rows)
    return con.sql(f"""
        WITH known AS (SELECT offer_id, value FROM decisions WHERE kind = '{FIELD}' AND action = 'accepted'),
             newly AS (SELECT s.offer_id, s.why FROM switched_off s JOIN sure_categories c USING (offer_id)
                       ANTI JOIN known k ON k.offer_id = c.offer_id AND k.value = c.value WHERE c.action = 'accepted')
        SELECT r.* REPLACE (CASE WHEN n.why IS NULL THEN r.action ELSE 'to_review' END AS action,
                            CASE WHEN n.why IS NULL THEN r.reason_code ELSE '{AUTOMATION_OFF}' END AS reason_code, coalesce(n.why, r.reason) AS reason)
        FROM sure_categories r LEFT JOIN newly n USING (offer_id) ORDER BY r.offer_id
    """).to_arrow_table()


def _by_person(row: dict[str, Any], answer: FieldAnswer) -> dict[str, Any]:
    return {
        **row, "action": "accepted", "value": answer.value, "confidence": 1.0, "reason_code": "said", "reason": f"{answer.actor} said so of the product",
        "decided_by": BY_PERSON, "override_id": answer.override_id, "model": None,
    }  # fmt: skip
