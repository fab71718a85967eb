"""A catalog of a few rows in which every state of a page occurs: for the pages' cases, the style page and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from fastapi import Request

from endcap.lake import Manifest
from endcap.metrics import _cases
from endcap.ops.access import Person
from endcap.settings import Catalog

SETTINGS = Catalog.model_validate(
    {"feeds": {name: {"file": f"{{date}}/{name}.csv", "format": "csv", "fields": {"id": "id", "title": "title"}} for name in ("nord", "sued")}}
)

SNAPSHOT: dict[str, Any] = {
    "snapshot_id": "s0003-8c1f0a92d7e4", "parent": "s0002-41b7c95de820", "run": 3, "content_hash": "8c1f0a92d7e4", "manifest_json": '{"override_sequence": 1}',
    "published_json": "{}", "created_at": "2024-05-03T06:02:11Z", "current": True,
}  # fmt: skip


def _value(field: str, value: str, confidence: float, source: str, support: int, unit: str | None = None) -> dict[str, Any]:
    given = {"field": field, "value": value, "confidence": confidence, "source_offer_id": source, "support": support, "unit": unit}
    return {**given, "extractor": f"{field}@1", "since_run": 1}


def _offer(offer_id: str, title: str, price: str, **more: Any) -> dict[str, Any]:
    feed = offer_id.split(":")[0]
    shared = {"feed": feed, "supplier": feed, "source_id": offer_id.split(":")[1], "delivery_id": f"{feed}@2024-05-02", "currency": "EUR"}
    return {"offer_id": offer_id, "title": title, "price": price, **shared, **more}


def _decision(offer_id: str, kind: str, action: str, confidence: float, reason: str, **more: Any) -> dict[str, Any]:
    machine = {"decided_by": "machine", "policy": "p", "reason_code": reason.split(" ")[0]}
    return {"offer_id": offer_id, "kind": kind, "action": action, "confidence": confidence, "reason": reason, **machine, **more}


_JUDGED = {
    "by": "all",
    "name": "everything",
    "n": 60,
    "champion_rate": 0.85,
    "challenger_rate": 0.92,
    "low": -0.01,
    "high": 0.14,
    "needed": 256,
    "state": "not evaluable",
}
_MUG = {"category": "Home > Mugs", "currency": "EUR", "state": "live", "brand": "Kahla"}
TABLES: dict[str, list[dict[str, Any]]] = {
    "deliveries": [
        {"delivery_id": "nord@2024-05-02", "feed": "nord", "supplier": "nord", "date": "2024-05-02", "state": "accepted", "read": 6, "accepted": 4,
         "quarantined": 2, "repeated": 1, "offers": 3, "new": 3, "warnings": ["brand: 12 of 100 offers state a number, which is no brand"]},
        {"delivery_id": "sued@2024-05-02", "feed": "sued", "supplier": "sued", "date": "2024-05-02", "state": "accepted", "read": 2, "accepted": 2,
         "offers": 2, "new": 2},
        {"delivery_id": "sued@2024-05-03", "feed": "sued", "supplier": "sued", "date": "2024-05-03", "state": "held", "run": 3,
         "reason": "It would remove 90 % of the live offers, and at most 30 % may go at once."},
    ],
    "quarantined": [
        {"delivery_id": "nord@2024-05-02", "feed": "nord", "position": 5, "raw": b'5;"";3,99', "code": "no_title", "reason": "the record states no title"},
        {"delivery_id": "nord@2024-05-02", "feed": "nord", "position": 6, "raw": b"\xff<script>alert(1)</script>", "code": "ragged_row",
         "reason": "3 columns of 5"},
    ],
    "offers": [
        _offer("nord:1", "Kahla Tasse rot 330 ml", "3.99", brand="Kahla", category_path="Haushalt > Tassen", url="https://shop.example/1", position=1),
        _offer("nord:2", 'Mug <script>alert("x")</script> & co', "5.49", url="javascript:alert(1)", position=2),
        _offer("nord:3", "Kahla Tasse blau 6er Pack", "19.90", position=3),
        _offer("sued:1", "KAHLA Mug red 0.33 l", "4.29", brand="KAHLA", position=1),
        _offer("sued:2", "Kahla Tasse 330", "3.79", position=2),
    ],
    "products": [
        {"product_id": "p1", "title": "Kahla Tasse rot 330 ml", "price_min": "3.99", "price_max": "4.29", "offers": 2, "suppliers": 2,
         "founded_by": "nord:1", **_MUG,
         "values": [_value("title", "Kahla Tasse rot 330 ml", 0.98, "nord:1", 1), _value("brand", "Kahla", 0.97, "nord:1", 2),
                    _value("colour", "red", 0.91, "sued:1", 2), _value("content", "330", 0.88, "nord:1", 2, "ml")]},
        {"product_id": "p2", "title": 'Mug <script>alert("x")</script> & co', "price_min": "5.49", "price_max": "5.49", "offers": 1, "suppliers": 1,
         "founded_by": "nord:2", **_MUG, "brand": None, "values": [_value("title", "<img src=x onerror=alert(1)>", 0.6, "nord:2", 1)]},
        {"product_id": "p3", "state": "merged", "merged_into": "p4", "title": "Tasse"},
        {"product_id": "p4", "state": "merged", "merged_into": "p1", "title": "Tasse"},
        {"product_id": "p9", "title": "Teller weiss", "state": "live", "run": 1}, {"product_id": "p9", "title": "Teller weiss", "state": "gone", "run": 2},
        {"product_id": "p1", "title": "Kahla Tasse rot", "founded_by": "nord:1", **_MUG, "run": 0},
    ],
    "decisions": [
        _decision("nord:1", "product", "new_product", 0.97, "nothing like it was known", product_id="p1"),
        _decision("nord:1", "category", "accepted", 0.95, "path of the supplier says so", value="Home > Mugs"),
        _decision("nord:2", "product", "new_product", 0.81, "nothing like it was known", product_id="p2"),
        _decision("sued:1", "product", "linked", 0.93, "same brand, colour and content; price 1.1 times", product_id="p1", counterpart_offer_id="nord:1"),
        _decision("nord:3", "product", "to_review", 0.41, "pack 6 against 1", proposed_product_id="p1", counterpart_offer_id="nord:1"),
        _decision("sued:2", "product", "linked", 0.0, "a person said so", product_id="p1", decided_by="person", override_id=1),
    ],
    "facts": [
        {"offer_id": "nord:1", "attribute": "colour", "value": "red", "confidence": 0.91, "evidence_field": "title", "evidence_start": 12,
         "evidence_end": 15, "extractor": "colour@1"},
        {"offer_id": "nord:1", "attribute": "content", "value": "330", "unit": "ml", "confidence": 0.88, "extractor": "content@1"},
    ],
    "pairs": [
        {"left_id": "nord:1", "right_id": "sued:1", "score": 0.93}, {"left_id": "nord:1", "right_id": "nord:3", "score": 0.41, "conflict": "pack 6 against 1"},
    ],
    "product_events": [
        {"product_id": "p1", "event": "founded", "offer_id": "nord:1", "reason": "founded by this offer"},
        {"product_id": "p1", "event": "absorbed", "offer_id": "sued:1", "reason": "this offer joined"},
    ],
    "runs": [
        {"attempt_id": 1, "run": 2, "state": "done", "started_at": "2024-05-02T06:00:00Z", "finished_at": "2024-05-02T06:02:11Z",
         "snapshot_id": "s0002-41b7c95de820"},
        {"attempt_id": 2, "run": 3, "state": "failed", "started_at": "2024-05-03T06:00:00Z", "error": "the disk is full; free 2 GB and run again"},
    ],
    "overrides": [{"override_id": 1, "offer_id": "sued:2", "action": "same", "product_id": "p1", "team": "home", "at": "2024-05-02T09:00:00Z"}],
    "snapshots": [SNAPSHOT],
    "proposals": [
        {"proposal_id": 1, "state": "validated", "kind": "model", "owner": "endcap", "approver": "sam", "automatic": True, "scope": "category:Home > Mugs",
         "hypothesis": "We believe that the retrained scorer will make fewer escapes in Mugs, because of 214 new answers.", "change": "The scorer 4f1e.",
         "artefact": "4f1e", "artefact_kind": "match", "metric": "override_rate.escapes", "effect": "from 8 % to 6 %", "details_json": "{}",
         "trial_id": "4f1e@8c1f", "verdict": "HOLD", "text": "as written <b>", "created_at": "2024-05-03T07:00:00Z"},
    ],
    "proposal_events": [{"event_id": 1, "proposal_id": 1, "state": "proposed", "actor": "endcap", "reason": "", "at": "2024-05-03T07:00:00Z"}],
    "trials": [
        {"trial_id": "4f1e@8c1f", "challenger": "4f1e", "champion": "0b7d", "labels": 214, "data_version": "s0003-8c1f0a92d7e4", "verdict": "HOLD",
         "figures_json": json.dumps({"n": 60, "challenger_right": 55, "champion_right": 51, "cases": 60,
             "plan": {"claims": [{"words": "override_rate.escapes is not measured by a replay"}]}, "judgement": {"reasons": ["too few cases"],
             "right": _JUDGED, "safe": _JUDGED, "slices": [_JUDGED | {"by": "category", "name": "Home > Mugs"}]}, "shoppers": {"changed": 1, "merged": 0,
             "split": 1, "by": {"to_review -> new_product": 1}, "samples": [{"offer_id": "nord:3", "title": "Tasse <i>", "champion": {"action": "to_review"},
             "challenger": {"action": "new_product", "counterpart_title": "Mug"}}]}})},
    ],
    "promotions": [{"promotion_id": 1, "kind": "match", "model_id": "0b7d", "action": "promote", "actor": "endcap", "reason": "fitted without labels",
                    "data_version": "", "at": "2024-05-02T06:02:00Z"}],
    "postmortems": [{"postmortem_id": 1, "title": "rolled back <i>", "cause": "rollback", "owner": "sam", "text": "what happened", "details_json": "{}",
                     "opened_at": "2024-05-03T08:00:00Z", "due_on": "2024-05-10"}],
    "loops": [
        {"loop_id": 1, "title": "sued:2 lies in the wrong product <script>", "source": "page", "offer_id": "sued:2", "counterpart_offer_id": "nord:1",
         "expected": "same", "reporter": "sam", "owner": "home", "opened_at": "2024-05-02T08:00:00Z", "acknowledged_at": "2024-05-02T09:00:00Z",
         "reopened": 0},
    ],
    "switches": [{"switch_id": 1, "scope": "feed:sued", "automation": False, "actor": "sam", "reason": "titles cut", "at": "2024-05-03T08:00:00Z"}],
    "alarms": [{"alarm_id": 1, "run": 3, "name": "fill", "scope": "feed:sued", "cause": "feed_data", "words": "brand is stated by 40 % after 90 %",
                "figures_json": "{}", "at": "2024-05-03T06:02:11Z"}],
}  # fmt: skip


class SampleHome:
    """A home that holds the sample, or nothing at all."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]] | None = None, snapshot: dict[str, Any] | None = None) -> None:
        self.tables = TABLES if tables is None else tables
        self.row = SNAPSHOT if tables is None else snapshot

    def snapshot(self) -> dict[str, Any] | None:
        return self.row

    @property
    def catalog(self) -> Catalog:
        return SETTINGS

    @property
    def path(self) -> Path:
        """There is no such folder."""
        return Path("sample-home")

    def manifest(self, snapshot_id: str | None = None) -> Manifest:
        return Manifest()

    def is_being_written(self) -> bool:
        return False

    def model_folder(self, model_id: str) -> Path:
        return self.path / model_id

    def connect(self, snapshot_id: str | None = None) -> duckdb.DuckDBPyConnection:
        return _cases.connection(self.tables)

    def register_operational(self, con: duckdb.DuckDBPyConnection) -> None:
        """The sample's operational tables never change."""

    def changes(self, *, at_once: bool = False) -> object:
        return 0


class SampleGate:
    """Lets everybody in as one person of a role, or as nobody."""

    def __init__(self, role: str | None = "admin") -> None:
        self.role = role

    def who(self, request: Request) -> Person | None:
        return Person("sam", self.role, "sample") if self.role else None

    def at_once(self, request: Request) -> Person | None:
        """Not known before it is asked."""
        return None
