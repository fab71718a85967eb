"""Routes whose answers are checked once: a model is what its type says from when it was made, and is written as JSON where it was made."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import msgspec
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel


class Answering(APIRoute):
    """A route of the API. FastAPI alone would check every answer a second time, in a thread of its own, before it is written."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else _written(endpoint), **given)


def _written(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    def write(*values: Any, **named: Any) -> Any:
        answer = endpoint(*values, **named)
        return Response(answer.model_dump_json(by_alias=True), media_type="application/json") if isinstance(answer, BaseModel) else answer

    return write


def written(kind: type[BaseModel], **fields: Any) -> Response:
    """An answer written without being checked: for thousands of words as a room shows them. A test holds that what is written is of its kind."""
    missing = kind.model_fields.keys() ^ fields.keys()
    if missing:
        raise ValueError(f"{kind.__name__} is made of other fields: {', '.join(sorted(missing))}")
    return Response(msgspec.json.encode(fields), media_type="application/json")
