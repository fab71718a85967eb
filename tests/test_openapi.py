"""Every operation of the OpenAPI with requests made from its own schemas and with hostile ones: no failure, and each answer as it is declared."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import Demo
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from endcap import settings as catalog_settings
from endcap.ops import access
from endcap.ops.home import Home
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.limits import Limits
from endcap.serve.sample_catalog import SampleGate, SampleHome

pytestmark = pytest.mark.xdist_group("demo")
SPEC: dict[str, Any] = make_app(SampleHome(), SampleGate()).openapi()
OPERATIONS = [(method, path) for path, operations in sorted(SPEC["paths"].items()) for method in sorted(operations)]
EXAMPLES = 25
HOSTILE: list[Any] = [
    "", " ", "\x00", "a\x00b", "\n", "'", '"', "';--", "%", "../..", "\u202e", "\U0001f600", "\ud7ff\ufffe", "x" * 5000, "9" * 40, "-1", "NaN", "null", "[]",
    "2024-02-30", "\u0663\u0663", None, True, 0, -1, 2**63, 10**40, 0.5, [], {}, [[]], {"a": {"b": None}}, ["x"] * 600,
]  # fmt: skip


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return resolved(SPEC["components"]["schemas"][schema["$ref"].split("/")[-1]]) if "$ref" in schema else schema


# --- what fits a schema, and what does not --------------------------------------------------------------------------


def faults(value: Any, schema: dict[str, Any], where: str = "answer") -> Iterator[str]:
    """What of a value is not as its schema says; of the keywords that our schemas use."""
    schema = resolved(schema)
    if "anyOf" in schema:
        tried = [list(faults(value, one, where)) for one in schema["anyOf"]]
        yield from [] if any(not found for found in tried) else tried[0]
        return
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}
    kind = schema.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind in ("integer", "number"))):
        yield f"{where} is {value!r:.60}, no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}, none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{where} is {value!r:.60}, not like {schema['pattern']}"
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from faults(one, schema.get("items", {}), f"{where}[{number}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{where} lacks {name}" for name in schema.get("required", []) if name not in value)
        more = schema.get("additionalProperties", not known)
        for name, one in value.items():
            if name not in known and not more:
                yield f"{where} has {name}, which is not declared"
            yield from faults(one, known.get(name) or (more if isinstance(more, dict) else {}), f"{where}.{name}")


def fitting(schema: dict[str, Any], known: list[str]) -> st.SearchStrategy[Any]:
    """Values that fit a schema; texts are often ids that the catalog knows."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return st.one_of([fitting(one, known) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "string" and "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    if kind == "string":
        least, most = schema.get("minLength", 0), min(schema.get("maxLength", 60), 60)
        ours = [one for one in known if least <= len(one) <= schema.get("maxLength", len(one))]
        return st.one_of([st.text(min_size=least, max_size=most), *([st.sampled_from(ours)] if ours else [])])
    if kind in ("integer", "number"):
        least, most = schema.get("minimum", -(2**70)), schema.get("maximum", schema.get("exclusiveMaximum", 2**70) - 1)
        return st.integers(least, int(most)) if kind == "integer" else st.floats(float(least), float(most), allow_nan=False)
    if kind == "array":
        return st.lists(fitting(schema["items"], known), min_size=schema.get("minItems", 0), max_size=4)
    if kind == "object":
        optional = {name: fitting(one, known) for name, one in schema.get("properties", {}).items()}
        required = {name: optional.pop(name) for name in schema.get("required", [])}
        return st.fixed_dictionaries(required, optional=optional)
    return {"boolean": st.booleans(), "null": st.none()}.get(str(kind), st.none())


def spoilt(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or one of which a part, or all, is hostile."""

    @st.composite
    def spoil(draw: st.DrawFn) -> Any:
        value = draw(values)
        if isinstance(value, dict) and draw(st.integers(0, 3)):
            name = draw(st.sampled_from([*value, "more"]))
            return {**value, name: draw(st.sampled_from(HOSTILE))}
        return draw(st.sampled_from(HOSTILE))

    return st.one_of(values, spoil())


def requests_to(method: str, path: str, known: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Requests to an operation: what stands in its path, its query and headers, its body."""
    operation = SPEC["paths"][path][method]
    parts: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for one in operation.get("parameters", []):
        parts[one["in"]][one["name"]] = spoilt(fitting(one["schema"], known)) if one["in"] == "query" else fitting(one["schema"], known)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return st.fixed_dictionaries({
        "path": st.fixed_dictionaries(parts["path"]), "query": st.fixed_dictionaries({}, optional=parts["query"]),
        "header": st.fixed_dictionaries({}, optional=parts["header"]), "body": spoilt(fitting(body, known)) if body else st.none(),
    })  # fmt: skip


# --- the operations -------------------------------------------------------------------------------------------------


class Asked:
    """A catalog that is asked as a lead, with what it knows of ids and versions."""

    def __init__(self, folder: Path) -> None:
        home = Home(catalog_settings.read(folder))
        app = make_app(home, HomeGate(home), limits=Limits({"read": 1e9, "write": 1e9, "sign-in": 1e9}))
        token = access.make_token(home.engine, "lea", "lead", days=1, actor="test")
        self.client = TestClient(
            app, base_url="http://localhost", headers={"authorization": f"Bearer {token}"}, follow_redirects=False, raise_server_exceptions=False
        )
        products = [row["product_id"] for row in self.client.get("/api/v1/products").json()["products"][:3]]
        product = self.client.get(f"/api/v1/products/{products[0]}").json()
        waiting = [row["offer_id"] for row in self.client.get("/api/v1/review").json()["questions"][:3]]
        version = self.client.get(f"/api/v1/products/{products[0]}/answers").json()["version"]
        deliveries = self.client.get("/api/v1/deliveries").json()["deliveries"]
        offers = [row["offer_id"] for row in product["offers"]]
        feeds = [deliveries[0]["feed"], deliveries[0]["delivery_id"], deliveries[0]["date"]]
        self.known = [*products, *offers, *waiting, *feeds, version, product["snapshot"], "brand", "colour", "a key of mine"]

    def ask(self, method: str, path: str, request: dict[str, Any]) -> Any:
        address = re.sub(r"\{(\w+)\}", lambda found: _in_path(str(request["path"][found[1]])), path)
        headers = {name: value.encode("latin-1", "replace").strip() for name, value in request["header"].items() if isinstance(value, str)}
        headers = {name: re.sub(rb"[\x00-\x1f\x7f]", b"", value) for name, value in headers.items()}
        query = {name: value if isinstance(value, (str, int, float)) else str(value) for name, value in request["query"].items()}
        body = {"json": request["body"]} if request["body"] is not None else {}
        return self.client.request(method, address, params=query, headers=headers, **body)


def _in_path(text: str) -> str:
    return quote(text, safe="") or "-"


@pytest.fixture(scope="module")
def asked(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("openapi") / "world")))


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS])
def test_no_request_makes_an_operation_fail_or_answer_otherwise_than_declared(asked: Asked, method: str, path: str) -> None:
    declared = SPEC["paths"][path][method]["responses"]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(requests_to(method, path, asked.known))
    def ask(request: dict[str, Any]) -> None:
        answer = asked.ask(method, path, request)
        if answer.status_code == 405 or (answer.status_code == 404 and "there is nothing at" in answer.text):
            return  # a text in the path that leads to another place
        assert answer.status_code < 500, answer.text
        assert str(answer.status_code) in declared, f"{answer.status_code} is not declared: {answer.text[:200]}"
        content = declared[str(answer.status_code)]["content"]
        kind = answer.headers["content-type"].split(";")[0]
        assert kind in content or kind == "text/html", kind
        if kind == "application/json":
            assert not list(faults(answer.json(), content[kind]["schema"]))[:3]

    ask()


def test_the_check_of_answers_finds_what_is_wrong() -> None:
    schema = SPEC["paths"]["/api/v1/me"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert list(faults({"snapshot": None, "name": "lea", "role": "lead"}, schema)) == []
    for wrong in ({"snapshot": 1, "name": "lea", "role": "lead"}, {"snapshot": None, "name": "lea"}, {"snapshot": None, "name": None, "role": "x"}, []):
        assert list(faults(wrong, schema)), wrong
