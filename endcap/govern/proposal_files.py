"""A proposal as a file: a YAML head of what is proposed, then free text; `proposals/0007-what-changes.md` beside the settings.

A head holds owner, kind, scope, hypothesis, change, metric, smallest_effect, guard_rails, plan, needed, rollback_trigger, and what would be
promoted: `artefact` (a trained model's id), `set` (settings of a policy, or fields of feeds), or `file` (a taxonomy).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from endcap import shelf
from endcap.problems import BadInput, BadSettings
from endcap.settings import ProposalKind, Settings, load_yaml, mistakes_of

FOLDER = "proposals"
MOST_CHARACTERS = 100_000
SENTENCE = "We believe that [change] for [scope] will [outcome] because [reason]"
_HYPOTHESIS = re.compile(r"We believe that \S.* for \S.* will \S.* because \S.*", re.DOTALL)
_HEAD = re.compile(r"\A---\n(.*?)^---\n?(.*)\Z", re.DOTALL | re.MULTILINE)
SCOPE = re.compile(r"\*|(feed|supplier|category):\S.*")
# Which artefact a kind of proposal puts in force, and by which of its fields it says so; a model may be one of several.
GIVEN_BY = {"threshold": "set", "rule": "set", "policy": "set", "mapping": "set", "taxonomy": "file", "model": "artefact", "dictionary": "artefact"}
ARTEFACT = {
    "threshold": "policy", "rule": "policy", "policy": "policy", "mapping": "mapping", "taxonomy": "taxonomy", "model": "match", "dictionary": "infer",
}  # fmt: skip
SETTINGS_OF = {
    "threshold": {"accept", "review", "accept_category", "promise", "scopes"}, "rule": {"max_price_ratio", "hold_on", "max_cluster", "marketplaces"},
}  # fmt: skip


class Head(Settings):
    """What is proposed."""

    kind: ProposalKind = Field(description="What would change.")
    title: str = Field(min_length=3, max_length=120, description="A few words to know it by.")
    owner: str = Field("", max_length=120, description="Who stands for it; whoever proposes it when left out.")
    scope: str = Field("*", max_length=400, description="'*', 'feed:NAME', 'supplier:NAME' or 'category:PATH'.")
    hypothesis: str = Field(max_length=2000, description=f"One sentence: {SENTENCE}.")
    change: str = Field(min_length=3, max_length=2000, description="What is done, in words.")
    metric: str = Field(max_length=80, description="The figure that is to move, a name of `endcap metrics`.")
    smallest_effect: float = Field(gt=0, description="The smallest effect worth having, in the metric's unit; for shares in points.")
    guard_rails: list[str] = Field(min_length=1, description="Figures that must not get worse.")
    plan: str = Field(min_length=3, max_length=2000, description="How it will be known.")
    needed: int = Field(ge=1, description="How many judged decisions that takes.")
    rollback_trigger: str = Field(min_length=3, max_length=2000, description="What ends it.")
    evidence: str = Field("", max_length=10_000, description="What speaks for it already.")
    artefact: str | None = Field(None, pattern=r"^[0-9a-f]{8,64}$", description="Of a model or dictionary: the id it was trained under.")
    artefact_kind: Literal["match", "infer"] = Field("match", description="Of a model: for matching, or for brands, categories and attributes.")
    set: dict[str, Any] | None = Field(None, description="Of a policy, threshold or rule: settings of `policy`; of a mapping: for each feed its fields.")
    file: str | None = Field(None, max_length=400, description="Of a taxonomy: its CSV file, beside the settings unless absolute.")

    @property
    def puts_in_force(self) -> str:
        """The kind of artefact."""
        return self.artefact_kind if self.kind == "model" else ARTEFACT[self.kind]

    @property
    def effect(self) -> str:
        """The smallest effect worth having, in words."""
        return f"{self.metric} better by {self.smallest_effect:g}"


def read_text(text: str, *, where: str) -> Head:
    """The head of a proposal's text. Raises BadInput where there is none, and BadSettings with every mistake at once."""
    found = _HEAD.match(text.replace("\r\n", "\n"))
    if found is None or len(text) > MOST_CHARACTERS:
        raise BadInput(
            "this is no proposal", where=where, todo="begin it with a line ---, the fields in YAML, and a line --- again; `endcap propose --help` shows one"
        )
    try:
        given = load_yaml(found[1])
    except yaml.YAMLError as error:
        raise BadInput(f"the proposal's head is not readable YAML: {' '.join(str(error).split())}", where=where, todo="correct that line") from None
    if not isinstance(given, dict):
        raise BadInput("the proposal's head holds no fields", where=where, todo="write `name: value`, one a line")
    return checked(given, where=where)


def checked(given: dict[str, Any], *, where: str) -> Head:
    """A head from plain values. Raises BadSettings with every mistake at once."""
    mistakes: list[str] = []
    head: Head | None = None
    try:
        head = Head.model_validate(given)
    except ValidationError as error:
        mistakes += mistakes_of(error, Head)
    mistakes += _mistakes_of_content(given)
    if head is None or mistakes:
        raise BadProposal(mistakes, where=where)
    return head


class BadProposal(BadSettings):
    """All mistakes of one proposal, reported at once."""

    def __init__(self, mistakes: list[str], *, where: str) -> None:
        super().__init__(mistakes, where=where)
        self.what = self.what.replace("in the settings", "in the proposal")
        self.args = (self.sentence(),)


def _mistakes_of_content(given: dict[str, Any]) -> list[str]:
    """What the types of the fields do not say; looked at whatever else is wrong."""
    mistakes = []
    hypothesis, scope, kind = given.get("hypothesis"), given.get("scope", "*"), given.get("kind")
    if isinstance(hypothesis, str) and not _HYPOTHESIS.fullmatch(hypothesis.strip()):
        missing = [word for word in ("We believe that", " for ", " will ", " because ") if word not in hypothesis]
        lacks = f"; it lacks {', '.join(repr(word.strip()) for word in missing)}" if missing else ""
        mistakes.append(f"hypothesis: write one sentence of the form '{SENTENCE}'{lacks}")
    if isinstance(scope, str) and not SCOPE.fullmatch(scope):
        mistakes.append(f"scope: {scope!r} is neither '*', 'feed:NAME', 'supplier:NAME' nor 'category:PATH'")
    rails = given.get("guard_rails")
    for name, field in [(given.get("metric"), "metric"), *((one, "guard_rails") for one in (rails if isinstance(rails, list) else []))]:
        if isinstance(name, str) and name.split(".")[0] not in shelf.names("metrics"):
            mistakes.append(f"{field}: there is no metric {name!r} (known: {', '.join(shelf.names('metrics'))})")
    if kind in GIVEN_BY:
        mistakes += _mistakes_of_artefact(given, str(kind))
    return mistakes


def _mistakes_of_artefact(given: dict[str, Any], kind: str) -> list[str]:
    wanted = GIVEN_BY[kind]
    mistakes = [f"{name}: a {kind} is given by `{wanted}`" for name in ("artefact", "set", "file") if name != wanted and given.get(name) is not None]
    if not given.get(wanted):
        mistakes.append(f"{wanted}: missing; it says what the {kind} would be")
    elif kind in SETTINGS_OF and isinstance(given["set"], dict):
        strange = sorted(set(map(str, given["set"])) - SETTINGS_OF[kind])
        mistakes += [f"set.{name}: no {kind} (those are {', '.join(sorted(SETTINGS_OF[kind]))}); propose a policy" for name in strange]
    if ARTEFACT[kind] == "policy" and given.get("scope", "*") != "*" and isinstance(given.get("set"), dict):
        whole = sorted(set(map(str, given["set"])) - {"scopes"})
        mistakes += [f"scope: {name} is one setting for all offers; write '*', or a promise for {given['scope']} under `scopes`" for name in whole]
    return mistakes


def as_text(given: dict[str, Any], body: str = "") -> str:
    """The file's text of a head in plain values."""
    told = {name: value for name, value in given.items() if value not in (None, "") and (name != "artefact_kind" or given["kind"] == "model")}
    head = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{head}---\n\n{body.strip()}\n" if body.strip() else f"---\n{head}---\n"


def name_of(proposal_id: int, title: str) -> str:
    """`0007-what-changes.md`."""
    slug = "-".join(re.findall(r"[a-z0-9]+", title.lower()))[:50].strip("-")
    return f"{proposal_id:04d}-{slug or 'proposal'}.md"


def path_of(root: Path, name: str) -> Path:
    return root / FOLDER / name
