"""What every class of faults plays against and counts with: a served catalog, a tally, and the answers of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import select

from endcap import flow, sandbox, settings
from endcap.ops import access
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.limits import Limits
from endcap.serve.reading import Reading

NEVER = {"read": 1e9, "write": 1e9, "sign-in": 1e9}
SAME_SITE = {"sec-fetch-site": "same-origin"}
DECISIONS, NEXT, UNDO = "/api/v1/review/decisions", "/api/v1/review/next", "/api/v1/review/undo"


class NotRun(Exception):
    """What a class needs is not here; the words say how to get it."""


@dataclass(frozen=True)
class World:
    """A catalog, its readers and one person of each role."""

    home: Home
    app: Any
    tokens: dict[str, str]

    def client(self, role: str | None = "reviewer", *, name: str = "") -> TestClient:
        """A program with a token of that role, or nobody."""
        client = TestClient(self.app, base_url="http://localhost", follow_redirects=False, raise_server_exceptions=False)
        if role is not None:
            token = self.tokens[role] if not name else access.make_token(self.home.engine, name, role, days=1, actor="bench")
            client.headers["authorization"] = f"Bearer {token}"
        return client

    def reading(self) -> Reading:
        reading: Reading = self.app.state.readings.current()
        return reading


@dataclass
class Tally:
    """What a class tried and how often it failed; `first` is the first failure in words."""

    tried: int = 0
    failed: int = 0
    first: str = ""

    def check(self, good: bool, words: str) -> None:
        self.tried += 1
        if not good:
            self.failed += 1
            self.first = self.first or words


Trial = Callable[[World, Tally, int], None]


def decision(item: dict[str, Any], action: str, key: str) -> dict[str, Any]:
    choice = item["choices"][0] if item["choices"] else {}
    shown = {name: item[name] for name in ("offer_id", "identity", "evidence", "model")}
    return shown | {
        "key": key, "action": action if item["choices"] else "new", "product_id": choice.get("product_id"),
        "counterpart_offer_id": (choice.get("nearest") or {}).get("offer_id"),
    }  # fmt: skip


def items_of(world: World) -> list[dict[str, Any]]:
    client = world.client()
    ids = [row["offer_id"] for row in world.reading().rows("SELECT offer_id FROM decisions WHERE kind = 'product' AND action = 'to_review' ORDER BY 1")]
    found: list[dict[str, Any]] = client.get("/api/v1/review/items", params={"ids": "\n".join(ids[:100])}).json()["items"]
    return found


def stored(world: World) -> list[dict[str, Any]]:
    with world.home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(OVERRIDES).order_by(OVERRIDES.c.override_id)).mappings()]


def standing(world: World) -> list[dict[str, Any]]:
    rows = stored(world)
    undone = {row["undoes"] for row in rows}
    return [row for row in rows if row["action"] != "undo" and row["override_id"] not in undone]


def make_world(folder: Path) -> World:
    """A run catalog of 2,000 offers, with a token for each role and no limits."""
    sandbox.make(folder, offers=2000, days=2, seed=7)
    flow.run(settings.read(folder))
    return world_of(folder)


def world_of(folder: Path) -> World:
    """A catalog that was run, likewise."""
    home = Home(settings.read(folder))
    tokens = {role: access.make_token(home.engine, f"one {role}", role, days=1, actor="bench") for role in access.ROLES}
    return World(home, make_app(home, HomeGate(home), limits=Limits(dict(NEVER))), tokens)
