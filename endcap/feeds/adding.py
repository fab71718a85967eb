"""Adding a proposed feed to a settings file: appended as text, so that a person's comments stay."""

from __future__ import annotations

import textwrap
from pathlib import Path

import yaml

from endcap import settings
from endcap.feeds.propose import Proposal
from endcap.lake.tables import write_synced
from endcap.problems import BadInput


def add_feed(folder: Path, proposal: Proposal, *, name: str) -> str:
    """Append the proposal under `feeds:`; returns the feed's name. The file is replaced only if the result is valid.

    Raises BadInput where there is no settings file or the name is taken, BadSettings where the result would be wrong.
    """
    file = folder / settings.FILE_NAME if folder.is_dir() else folder
    if not file.exists():
        raise BadInput(f"there is no settings file {file.name}", where=str(folder), todo="run `endcap init DIR` first")
    text = file.read_text(encoding="utf-8")
    given = yaml.safe_load(text) or {}
    if name in (given.get("feeds") or {}):
        raise BadInput(f"there is a feed {name} already", where=str(file), todo="give another --name")
    body = textwrap.indent(yaml.safe_dump({name: yaml.safe_load(proposal.yaml)}, sort_keys=False, allow_unicode=True), "  ")
    lines = [line for line in text.rstrip("\n").split("\n") if not line.startswith("feeds: {}")]
    if "feeds" not in given or not given["feeds"]:
        lines = [line for line in lines if line.rstrip() != "feeds:"] + ["feeds:"]
    elif list(given)[-1] != "feeds":
        raise BadInput("`feeds` is not the last setting of the file", where=str(file), todo="move it to the end, or paste the proposal yourself")
    written = "\n".join(lines) + "\n" + body
    settings.parse(yaml.safe_load(written), where=str(file))
    write_synced(file, written.encode())
    return name
