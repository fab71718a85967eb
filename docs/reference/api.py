"""docs/api.md, from the served application's own OpenAPI document and pages."""

from __future__ import annotations

import re
from typing import Any

from endcap.serve import problems_shown
from endcap.serve.app import make_app
from endcap.serve.gate import LEAST_ROLE, PERSON_HEADER
from endcap.serve.sample_catalog import SampleGate, SampleHome
from reference.markdown import code, page, plain, sentence_line, table
from reference.shelves import built_in

API_INTRO = """\
`endcap serve` answers on loopback. Every answer is read from exactly one snapshot, named in the header `{header}`.
The OpenAPI document is served at `/openapi.json`.

A browser comes in by the link that `endcap serve` prints, by name and password, or by an OpenID provider
([sign-in.md](sign-in.md)); a program sends `Authorization: Bearer TOKEN`, a token made with
`endcap token NAME`. Each route takes at least the role named beside it; what no role is named for, nobody may do.

```
curl -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"title": "Acme Kettle K100 1.7 l", "brand": "Acme"}}' http://localhost:8321/api/v1/match
```

A program that keeps answers back and sends them later may name whose they are in the header `{person}`: under another name they are refused (401)."""


def role_of(method: str, path: str) -> str:
    """The least role a route takes, in words."""
    routes = {(verb, re.sub(r":path}", "}", route)): role for (verb, route), role in LEAST_ROLE.items()}
    return routes[method.upper(), path] or "anybody"


def api_page() -> str:
    """The API's routes with parameters and answers, the shapes of the answers, and the pages for people."""
    described = make_app(SampleHome(), SampleGate()).openapi()
    parts = [API_INTRO.format(header=problems_shown.SNAPSHOT_HEADER, person=PERSON_HEADER), "## Routes"]
    routes = [(path, method, one) for path, methods in described["paths"].items() for method, one in methods.items()]
    parts.append(
        table(
            ("route", "role", "takes", "answer", "sentence"),
            (
                (code(f"{method.upper()} {path}"), role_of(method, path), body_of(one), answer_of(one), plain(one["description"]))
                for path, method, one in routes
            ),
        )
    )
    given = (
        (code(path), code(one["name"]), f"in the {one['in']}", json_type(one["schema"]), plain(one.get("description", "")))
        for path, _m, route in routes
        for one in route.get("parameters", ())
    )
    parts += ["Parameters:", table(("route", "name", "where", "type", "meaning"), given), "## Errors"]
    parts += [
        "Every error has the shape [ProblemAnswer](#problemanswer). Its codes:",
        table(("status", "code"), ((str(status), code(name)) for status, name in problems_shown.CODES.items())),
    ]
    parts += ["## Pages", "For people, in the browser; what they show is what the API answers.", pages_table(), "## Shapes"]
    for name, shape in described["components"]["schemas"].items():
        rows = ((code(field), json_type(one), plain(one.get("description", ""))) for field, one in shape.get("properties", {}).items())
        parts += [f"### {name}", plain(shape.get("description", "")), table(("field", "type", "meaning"), rows)]
    return page("API and pages", *parts)


def body_of(route: dict[str, Any]) -> str:
    """The shape of the JSON that a route takes; form fields are among the parameters of its description."""
    content = route.get("requestBody", {}).get("content", {})
    return json_type(content["application/json"]["schema"]) if "application/json" in content else ", ".join(content)


def answer_of(route: dict[str, Any]) -> str:
    return json_type(route["responses"]["200"]["content"]["application/json"]["schema"])


def json_type(described: dict[str, Any]) -> str:
    """A JSON Schema's type in words; shapes are linked."""
    if "$ref" in described:
        name = described["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in described:
        return "one of " + ", ".join(code(value) for value in described["enum"])
    if "anyOf" in described:
        return " or ".join(json_type(one) for one in described["anyOf"])
    if described.get("type") == "array":
        return f"array of {json_type(described['items'])}"
    if isinstance(described.get("additionalProperties"), dict):
        return f"object of {json_type(described['additionalProperties'])}"
    return str(described.get("type", "any"))


def pages_table() -> str:
    rows = ((code(f"GET {route.path.replace(':path', '')}"), sentence_line(one)) for one in built_in("pages").values() for route in one.router.routes)
    return table(("route", "sentence"), rows)
