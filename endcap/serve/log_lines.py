"""What the server logs: one JSON object a line, whatever was sent to it, and no secret that an address or a header carries."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

_SECRETS = re.compile(r"(?i)\b(once|token|password|secret|endcap_session)(\s*[=:]\s*)[^\s&;,\"']+|\b(bearer)(\s+)[^\s\"']+")
MOST_CHARACTERS = 20_000


class OneLine(logging.Formatter):
    """A record as one line of JSON in ASCII: line ends, escapes of terminals and letters that turn the line around are written as numbers."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback in it where there is one."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"), "level": record.levelname, "logger": record.name,
            "message": _told(record.getMessage()),
        }  # fmt: skip
        if record.exc_info:
            told["error"] = _told(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=True)


def _told(text: str) -> str:
    """Without secrets, and its end where it is very long: there a traceback says what went wrong."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[3]}{found[2] or found[4]}...", text)[-MOST_CHARACTERS:]


LOG_SETTINGS: dict[str, Any] = {
    "version": 1, "disable_existing_loggers": False, "formatters": {"line": {"()": OneLine}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {name: {"handlers": ["stderr"], "level": "WARNING", "propagate": False} for name in ("endcap", "uvicorn")},
}  # fmt: skip
