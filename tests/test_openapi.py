"""Every operation of the OpenAPI with requests that fit its schema and requests that do not, made by schemathesis: no failure, each answer as declared.

A sample here, a hundred requests each and chains of requests every night; `bench/reliability.py --only C6` asks a served catalog.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from conftest import Demo
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as examples
from schemathesis import Case, GenerationMode

from endcap import settings
from endcap.ops import access
from endcap.ops.home import Home
from endcap.serve.app import LOOPBACK, make_app
from endcap.serve.gate import HomeGate
from endcap.serve.limits import Limits
from endcap.serve.sample_catalog import SampleGate, SampleHome

OPERATIONS = {
    f"{method.upper()} {path}": told
    for path, methods in make_app(SampleHome(), SampleGate()).openapi()["paths"].items() for method, told in methods.items()
}  # fmt: skip
SAMPLE, ALL, CHAINS = 5, 100, 2
# What a schema cannot say is refused with 422 too (an unknown id, a digit that does not check), so that not all that fits is taken.
schemathesis.checks.load_all_checks()
LEFT_OUT, SHAPES = (schemathesis.checks.CHECKS.get_one(name) for name in ("positive_data_acceptance", "response_schema_conformance"))


class Asked:
    """A catalog that is asked as a lead, and what it knows of ids and versions."""

    def __init__(self, folder: Path) -> None:
        home = Home(settings.read(folder))
        # The check that a request without its pass is refused leaves out the host, too.
        app = make_app(home, HomeGate(home), (*LOOPBACK, "testserver"), limits=Limits({"read": 1e9, "write": 1e9, "sign-in": 1e9}))
        token = access.make_token(home.engine, "lea", "lead", days=1, actor="test")
        self.headers = {"Authorization": f"Bearer {token}", "host": "localhost"}
        self.app = app
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=self.headers)
        reading = app.state.readings.current()
        column = lambda query: [row["one"] for row in reading.rows(query)]  # noqa: E731
        products = column("SELECT product_id AS one FROM products WHERE state = 'live' ORDER BY offers DESC, 1 LIMIT 3")
        offers = column("SELECT offer_id AS one FROM decisions WHERE kind = 'product' ORDER BY action = 'to_review' DESC, 1 LIMIT 4")
        feeds, deliveries = (column(f"SELECT {name} AS one FROM deliveries ORDER BY date DESC, 1 LIMIT 3") for name in ("feed", "delivery_id"))
        dates = column("SELECT DISTINCT date AS one FROM deliveries ORDER BY 1 DESC LIMIT 3")
        known = {
            "product_id": products, "into": products, "offer_id": offers, "counterpart_offer_id": offers, "left": offers, "right": offers, "ids": offers,
            "offer_ids": [offers[:2]], "feed": feeds, "delivery_id": deliveries, "date": dates, "field": ["brand", "colour"], "attempt_id": [1],
            "override_id": [1], "version": [reading.snapshot_id],
        }  # fmt: skip
        self.known = {name: cycle([*values, None]) for name, values in known.items()}

    def fill_in(self, case: Case) -> None:
        """Put ids that the catalog knows where the request fits its schema; every so often that which was made stays."""
        if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
            return
        bodies = case.body.get("decisions", [case.body]) if isinstance(case.body, dict) else []
        for part in (case.path_parameters, case.query, *bodies):
            for name in part if isinstance(part, dict) else ():
                value = next(self.known[name], None) if name in self.known else None
                if value is not None:
                    part[name] = value

    def check(self, case: Case) -> None:
        self.fill_in(case)
        case.call_and_validate(headers=self.headers, excluded_checks=[LEFT_OUT])


@pytest.fixture(scope="module")
def asked(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    yield Asked(Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("openapi") / "world")))


@pytest.mark.parametrize("many", [SAMPLE, pytest.param(ALL, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_request_makes_an_operation_fail_or_answer_otherwise_than_declared(asked: Asked, operation: str, many: int) -> None:
    found = asked.schema.find_operation_by_label(operation)
    assert found is not None
    told = OPERATIONS[operation]
    # Any text may stand in a path, so that only what else is sent can be wrong.
    can_be_wrong = "requestBody" in told or any(one["in"] != "path" for one in told.get("parameters", ()))
    for mode in GenerationMode if can_be_wrong else (GenerationMode.POSITIVE,):

        @examples(max_examples=many, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(found.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            asked.check(case)

        ask()


@pytest.mark.nightly
def test_no_chain_of_requests_does(asked: Asked) -> None:
    machine = asked.schema.as_state_machine()

    class Chain(machine):  # type: ignore[misc, valid-type]
        def validate_response(self, response: Any, case: Case, **given: Any) -> None:
            case.validate_response(response, excluded_checks=[LEFT_OUT])

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": asked.headers}

    # What a chain makes is there for the next one, which hypothesis takes for a flaw within one search: so each few are a search of their own.
    few = examples(max_examples=CHAINS, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    for number in range(ALL // CHAINS):
        seed(number)(Chain)
        Chain.run(settings=few)


def test_each_operation_says_which_passes_it_takes_as_the_gate_does(asked: Asked) -> None:
    described = make_app(SampleHome(), SampleGate()).openapi()
    assert {name: (one["type"], one.get("scheme") or one["name"]) for name, one in described["components"]["securitySchemes"].items()} == {
        "token": ("http", "bearer"), "session": ("apiKey", "endcap_session"), "tokenInAddress": ("apiKey", "token"),
    }  # fmt: skip
    nobody = TestClient(asked.app, base_url="http://localhost")
    for name, told in OPERATIONS.items():
        method, path = name.split()
        passes = [next(iter(one)) for one in told["security"]]
        answer = nobody.request(method, re.sub(r"{\w+}", "1", path))
        assert (answer.status_code in (401, 403)) == bool(passes), name
        assert ("tokenInAddress" in passes) == path.startswith("/api/v1/reconcile") and (not passes or passes[:2] == ["token", "session"]), name
    assert [name for name, told in OPERATIONS.items() if not told["security"]] == ["GET /api/v1/health"]


def test_the_check_of_answers_finds_what_is_wrong(asked: Asked) -> None:
    case = asked.schema["/api/v1/me"]["GET"].Case()
    right = case.call_and_validate(headers=asked.headers, excluded_checks=[LEFT_OUT])
    told = {"snapshot": None, "name": "lea", "role": "lead", "scopes": None}
    assert right.json() | {"snapshot": None} == told
    for wrong in (told | {"snapshot": 1}, told | {"name": None}, {"snapshot": None, "name": "lea"}, []):
        answer = httpx.Response(200, json=wrong, request=httpx.Request("GET", "http://localhost/api/v1/me"))
        answer.elapsed = timedelta()
        with pytest.raises((schemathesis.checks.Failure, schemathesis.checks.FailureGroup)):
            case.validate_response(answer, checks=[SHAPES])
