"""The OpenAPI description with what lets one in: each operation says which passes it takes, from the same table that admits (see gate.py)."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI

from endcap.serve.gate import COOKIE, LEAST_ROLE, OPEN, RECONCILE

BEARER, SESSION, IN_ADDRESS = "token", "session", "tokenInAddress"
SCHEMES: dict[str, dict[str, str]] = {
    BEARER: {"type": "http", "scheme": "bearer", "description": "A program's token, made with `endcap token NAME`."},
    SESSION: {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A person's session in a browser, begun at /sign-in."},
    IN_ADDRESS: {"type": "apiKey", "in": "query", "name": "token", "description": "A program's token, for clients that know an address alone."},
}


class Described(FastAPI):
    """An application whose description names, for each operation, the passes it takes and the least role."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            told = super().openapi()
            told.setdefault("components", {})["securitySchemes"] = SCHEMES
            roles = {(method.lower(), re.sub(r":path}", "}", path)): role for (method, path), role in LEAST_ROLE.items()}
            for path, operations in told["paths"].items():
                for method, operation in operations.items():
                    operation["security"] = security_of(path, roles[method, path])
        return self.openapi_schema or {}


def security_of(path: str, role: str) -> list[dict[str, list[str]]]:
    """Any one of these passes; none at all where everybody may ask."""
    if role == OPEN:
        return []
    names = [BEARER, SESSION, *([IN_ADDRESS] if path.startswith(RECONCILE) else [])]
    return [{name: []} for name in names]
