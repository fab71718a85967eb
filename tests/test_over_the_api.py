"""What is refused over the API names what the API has: fields and routes, no options and commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from governed import Replay, another_model, head_of, replay, small_catalog

from endcap.govern import proposals
from endcap.govern.loops import report
from endcap.govern.proposal_files import checked
from endcap.ops.home import Home
from endcap.serve.app import make_app
from endcap.serve.gate import LEAST_ROLE
from endcap.serve.over_the_api import ROUTES, over_the_api
from endcap.serve.sample_catalog import SampleGate

__all__ = ["replay"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return small_catalog(tmp_path)


def asked(home: Home, path: str, **given: Any) -> tuple[int, str]:
    """(status, sentence) of a deed."""
    client = TestClient(make_app(home, SampleGate()), base_url="http://localhost", raise_server_exceptions=False)
    answer = client.post(f"/api/v1/{path}", json=given)
    return answer.status_code, answer.json()["error"]["message"]


def test_every_route_that_stands_for_a_command_is_there() -> None:
    shapes = {(method, re.sub(r"\{[^}]*\}", "X", route)) for method, route in LEAST_ROLE}
    for route in ROUTES.values():
        method, path = route.split(" ")
        assert (method, re.sub(r"[A-Z]{3,}", "X", path)) in shapes, route


@pytest.mark.parametrize(
    ("said", "told"),
    [("`endcap proposals accept 12` first", "`POST /api/v1/proposals/12/accept` first"), ("see `endcap switch list`", "see `GET /api/v1/switches`"),
     ("`endcap explain OFFER` shows it", "`GET /api/v1/offers/OFFER` shows it"), ("`endcap run`, then", "`endcap run` at the command line, then"),
     ("pass it with --overrule and a --reason", "pass it with `overrule` and a `reason`"), ("two -- three --strange", "two -- three --strange")],
)  # fmt: skip
def test_words_of_the_command_line_become_those_of_the_api(said: str, told: str) -> None:
    assert over_the_api(said) == told


def test_no_refusal_of_a_deed_speaks_of_the_command_line(home: Home, replay: Replay) -> None:
    replay.verdict = "HOLD"
    for about in ({}, {"kind": "model", "set": None, "artefact": another_model(home)}):
        number = int(proposals.propose(home, checked(head_of(**about), where="test"), actor="ann")["proposal_id"])
        proposals.accept(home, number, actor="ben")
        proposals.validate(home, number, actor="ann")
    proposals.propose(home, checked(head_of(), where="test"), actor="ann")
    report(home, title="two sizes", reporter="mia", source="page", offer_id="one:x1", other="two:x1", expected="different")
    refused = [
        ("proposals/2/promote", {"reason": "b"}, "pass it with `overrule` and a `reason`"),
        ("proposals/2/promote", {"reason": " ", "overrule": True}, "(`reason`)"),
        ("proposals/1/promote", {"reason": "b", "stage": "shadow"}, "(`stage`); only a matching model can; `POST /api/v1/proposals/1/validate` shows"),
        ("proposals/1/promote", {"reason": "b", "stage": "canary", "scope": "*"}, "(`stage`)"),
        ("proposals/3/promote", {"reason": "b"}, "`POST /api/v1/proposals/3/accept` first"),
        ("loops/1/close", {"cause": "zz", "comment": "c"}, "(`cause`)"), ("loops/1/close", {"cause": "scoring", "comment": " "}, "(`comment`)"),
        ("loops/1/close", {"cause": "scoring", "comment": "c"}, "see `GET /api/v1/loops/1`"), ("loops/1/reopen", {"reason": "c"}, "`GET /api/v1/loops/1`"),
        ("switches", {"scope": "*", "automation": True, "reason": "x"}, "`GET /api/v1/switches`"),
    ]  # fmt: skip
    for path, given, words in refused:
        status, told = asked(home, path, **given)
        assert status == 422 and words in told and "--" not in told and "`endcap" not in told, told


def test_the_first_of_two_people_is_told_so(home: Home, replay: Replay) -> None:
    replay.verdict = "HOLD"
    home.catalog = home.catalog.model_copy(update={"govern": home.catalog.govern.model_copy(update={"second_person": ["overrule"]})})
    proposals.propose(home, checked(head_of(), where="test"), actor="ann")
    proposals.accept(home, 1, actor="ben")
    proposals.validate(home, 1, actor="ann")
    status, told = asked(home, "proposals/1/promote", reason="a known gap", overrule=True)
    assert status == 409 and "it takes two people" in told
