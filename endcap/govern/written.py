"""What people wrote in files of their own: a proposal, or what was learned."""

from __future__ import annotations

from pathlib import Path

from endcap.problems import BadInput


def read_written(file: Path, what: str, *, where: str | None = None) -> str:
    """The text of a file, its lines ending as on this system. Raises BadInput where it is missing or no text in UTF-8; `what` says what it should be."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else f"byte {error.start + 1} is not UTF-8"
        raise BadInput(f"{what} cannot be read: {words}", where=where or str(file), todo="name a text file in UTF-8") from None
    if "\0" in text:
        raise BadInput(f"{what} cannot be read: it is no text", where=where or str(file), todo="name a text file in UTF-8")
    return text
