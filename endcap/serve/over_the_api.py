"""What the rooms say to somebody at a command line, said to whoever asks over the API: its fields for options, its routes for commands."""

from __future__ import annotations

import re

# The field of the body that says what an option says.
FIELDS = {
    "--overrule": "overrule", "--reason": "reason", "--comment": "comment", "--cause": "cause", "--shadow": "stage", "--canary": "stage",
    "--expect": "expected", "--value": "value", "--field": "field", "--product": "product_id",
}  # fmt: skip
# The route that does what a command does, words in capitals being what stands there in the command.
ROUTES = {
    "proposals accept NUMBER": "POST /api/v1/proposals/NUMBER/accept",
    "validate NUMBER": "POST /api/v1/proposals/NUMBER/validate",
    "promote NUMBER": "POST /api/v1/proposals/NUMBER/promote",
    "proposals list": "GET /api/v1/proposals",
    "model history": "GET /api/v1/models",
    "loops list": "GET /api/v1/loops",
    "loops show NUMBER": "GET /api/v1/loops/NUMBER",
    "switch list": "GET /api/v1/switches",
    "snapshot list": "GET /api/v1/snapshots",
    "metrics": "GET /api/v1/metrics",
    "explain OFFER": "GET /api/v1/offers/OFFER",
}
_OPTION = re.compile("|".join(re.escape(option) + r"\b" for option in FIELDS))
_COMMAND = re.compile(r"`endcap ([^`]+)`")


def over_the_api(sentence: str) -> str:
    """A sentence with the API's names; a command that it has no route for stays, as one to be given on the machine that serves."""
    return _OPTION.sub(lambda found: f"`{FIELDS[found[0]]}`", _COMMAND.sub(_route, sentence))


def _route(found: re.Match[str]) -> str:
    for command, route in ROUTES.items():
        verb, _space, named = command.rpartition(" ")
        if found[1] == command:
            return f"`{route}`"
        if named.isupper() and (given := re.fullmatch(rf"{verb} (\d+)", found[1])):
            return f"`{route.replace(named, given[1])}`"
    return f"{found[0]} at the command line"
