"""The settings file `endcap.yaml`: every setting with its sentence, its default and its bounds.

All mistakes of a file are reported at once; an unknown setting is a mistake, with the nearest known name.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from endcap.problems import BadInput, BadSettings

FILE_NAME = "endcap.yaml"


class Settings(BaseModel):
    """Base of every group of settings: unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Settings):
    """Where one offer field comes from in a record: exactly one of path, constant, join or first."""

    path: str | None = Field(None, description="Path into the record: a column name, or steps with dots ('price.value', 'images.0', 'tags.*.name').")
    constant: str | None = Field(None, description="The same text for every record.")
    join: list[str] | None = Field(None, description="Several paths, their texts put together with `separator`.")
    first: list[str] | None = Field(None, description="Several paths; the first that is not empty.")
    separator: str = Field(" ", description="What stands between joined texts, and between the several values of a path with '*'.")
    ignore: str | None = Field(None, description="A regular expression; a text it matches anywhere counts as absent.")
    extract: str | None = Field(None, description="A regular expression whose first group (or whole match) is taken from the text.")
    unit: Literal["major", "cents"] = Field("major", description="For price: 'cents' when the number counts hundredths.")

    def model_post_init(self, _context: Any) -> None:
        given = [name for name in ("path", "constant", "join", "first") if getattr(self, name) is not None]
        for name in ("ignore", "extract"):
            _check_pattern(name, getattr(self, name))
        if len(given) != 1:
            raise ValueError(f"give exactly one of path, constant, join, first (given: {', '.join(given) or 'none'})")


def _check_pattern(name: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"{name} is not a regular expression: {error}") from None


def _source(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


Mapped = Annotated[Source, BeforeValidator(_source, json_schema_input_type=Source | str)]


class Fields(Settings):
    """The mapping: where each field of an offer comes from. A plain text is a path."""

    id: Mapped = Field(description="The supplier's own id of the offer; it must not change meaning between deliveries.")
    title: Mapped = Field(description="What the supplier calls it.")
    brand: Mapped | None = Field(None, description="The brand as the supplier states it.")
    description: Mapped | None = Field(None, description="Free text.")
    category: Mapped | None = Field(None, description="The supplier's own category, as one path; use separator ' > ' to join levels.")
    gtin: Mapped | None = Field(None, description="EAN, UPC or GTIN; lost leading zeros are put back where the check digit proves it.")
    mpn: Mapped | None = Field(None, description="The manufacturer's part number.")
    price: Mapped | None = Field(None, description="The price of one sales unit, read by the feed's number rules.")
    currency: Mapped | None = Field(None, description="ISO 4217 code.")
    quantity: Mapped | None = Field(None, description="What the supplier says of content and pack, as text ('6 x 330 ml').")
    url: Mapped | None = Field(None, description="The offer's page.")
    image: Mapped | None = Field(None, description="A picture's address.")
    available: Mapped | None = Field(None, description="Whether it can be bought now (true/false, yes/no, 1/0, 'in stock').")
    details: dict[str, Mapped] = Field({}, description="Further fields by name, kept as text (colour, size, material ...).")


def _on_shelf(name: str) -> AfterValidator:
    def check(given: str) -> str:
        from endcap import shelf

        if given not in shelf.names(name):
            raise ValueError(f"there is no {given!r}{_nearest(given, shelf.names(name))}")
        return given

    return AfterValidator(check)


def _offer_field(given: str) -> str:
    if given not in Fields.model_fields:
        raise ValueError(f"there is no offer field {given!r}{_nearest(given, tuple(Fields.model_fields))}")
    return given


class Numbers(Settings):
    """How this supplier writes numbers; nothing is guessed."""

    decimal: Literal[".", ","] = Field(".", description="The decimal mark.")
    thousands: Literal["", ",", ".", " ", "'"] = Field("", description="The mark between thousands, empty when none is written.")


class Guards(Settings):
    """Budgets of a delivery; over budget it is held for a person and the last good version stays."""

    max_drop: float = Field(0.3, ge=0, le=1, description="Largest share of the feed's live offers that one delivery may remove.")
    max_growth: float = Field(5.0, gt=0, description="Largest growth of the number of offers, as a multiple of the last one.")
    max_quarantined: float = Field(0.2, ge=0, le=1, description="Largest share of records that may break the contract.")
    max_field_loss: float = Field(
        0.5, ge=0, le=1,
        description="Largest fall in the share of offers that state a mapped field, from 0 to 1; title and price over it hold the delivery, others warn.",
    )  # fmt: skip
    max_price_change: float = Field(0.5, ge=0, le=1, description="Largest share of offers whose price may move by more than a factor of 3.")
    max_identity_change: float = Field(0.4, ge=0, le=1, description="Largest share of known ids that may come with another title.")
    max_field_change: float = Field(
        0.5, ge=0, le=1, description="Largest share of known offers whose GTIN, brand, category, part number or availability may change to another value."
    )
    min_offers: int = Field(20, ge=0, description="Below this many known offers the share guards do not fire: too little to judge by.")
    max_mbytes: int = Field(4096, gt=0, description="Largest size of a delivery after unpacking, in MB.")


class Feed(Settings):
    """One supplier's feed: where its deliveries lie, how they are written, what they must hold."""

    supplier: str | None = Field(None, description="The supplier's name; the feed's own when left out.")
    file: str = Field(description="The delivery's file under the inbox; '{date}' stands for its ISO date, e.g. '{date}/acme.csv'.")
    format: Annotated[str, _on_shelf("formats")] = Field(description="csv, json, jsonl, xml, xlsx, parquet, or a plugin's format.")
    options: dict[str, str | int | bool] = Field({}, description="The format's own options (encoding, delimiter, records path, sheet ...).")
    numbers: Numbers = Field(default_factory=lambda: Numbers(), description="How numbers are written.")
    fields: Fields = Field(description="The mapping.")
    require: list[Annotated[str, AfterValidator(_offer_field)]] = Field(
        ["id", "title"], description="Offer fields that every record must state; a record without them is quarantined."
    )
    columns: list[str] = Field([], description="Columns or paths that the delivery must have, besides the mapped ones of `require`.")
    guards: Guards = Field(default_factory=lambda: Guards(), description="Budgets of a delivery.")
    trust: float = Field(1.0, gt=0, le=10, description="Weight of this feed's statements when suppliers disagree on a value.")


class Promised(Settings):
    """A promise of precision for what the machine links by itself."""

    precision: float = Field(0.97, gt=0, lt=1, description="Share of the links made by machine that must be right.")
    confidence: float = Field(0.9, gt=0, lt=1, description="How sure the audited answers must make it.")


class Scope(Settings):
    """A part of the catalog with a promise of its own."""

    supplier: str | None = Field(None, description="Offers of this supplier or feed; all when left out.")
    category: str | None = Field(None, description="Offers of this category and those below it; all when left out.")
    promise: Promised = Field(default_factory=lambda: Promised(), description="What is promised for them.")

    def model_post_init(self, _context: Any) -> None:
        if self.supplier is None and self.category is None:
            raise ValueError("name a supplier, a category or both; for everything use policy.promise")


Suspicious = Literal[
    "source_key",
    "unlike_titles",
    "nearly_all_linked",
    "few_linked",
    "none_linked",
    "equal_scores",
    "large_cluster",
    "equal_titles",
    "placeholder_gtin",
    "repeated_gtin",
]


class Policy(Settings):
    """What the machine may decide alone."""

    accept: float = Field(0.85, ge=0, le=1, description="Link without a person at this probability or above.")
    review: float = Field(0.35, ge=0, le=1, description="Ask a person from this probability up to `accept`; below it a new product is founded.")
    accept_category: float = Field(0.6, ge=0, le=1, description="Accept a category without a person at this confidence or above.")
    promise: Promised | None = Field(
        None, description="Link by machine only what audited answers prove this precise (`endcap audit`, `endcap promise`), instead of from `accept` on."
    )
    scopes: list[Scope] = Field([], description="Promises for parts of the catalog; an offer belongs to the first one that names it.")
    max_price_ratio: float = Field(4.0, gt=1, description="A link whose prices differ by more than this factor is asked, not made.")
    hold_on: list[Suspicious] = Field(
        ["source_key", "unlike_titles"], description="Signs of a false success that hold the run until a person lets it through; the others are only said."
    )
    max_cluster: int = Field(200, gt=1, description="Offers a product may gather by machine before each more is asked.")
    marketplaces: list[str] = Field(
        [],
        description="Feeds in which several sellers list one product: their offers are compared with each other too, and a product may take several.",
    )


ProposalKind = Literal["model", "threshold", "rule", "mapping", "taxonomy", "policy", "dictionary"]
SecondPerson = Literal[ProposalKind, "overrule"]


class Govern(Settings):
    """Who decides on changes, and what people may do in a day."""

    second_person: list[SecondPerson] = Field(
        [], description="Kinds of proposals that another person than the owner must accept; 'overrule' asks two people to overrule a verdict."
    )
    accept_automatic: list[ProposalKind] = Field([], description="Kinds of endcap's own proposals that count as accepted without a person.")
    current_data: bool = Field(False, description="Promote only what was validated on the snapshot that is current.")
    confirm_days: int = Field(28, ge=1, description="Days from a promotion to the comparison of promise and outcome.")
    postmortem_days: int = Field(5, ge=1, description="Days within which a postmortem is to be written.")
    answers_a_day: int = Field(5000, ge=1, description="Answers that one person or program may give in a day; more are refused.")
    bulk: int = Field(500, ge=1, description="Answers given as one need a second person from above this many.")
    sibling_share: float = Field(0.9, ge=0, le=1, description="Share of a problem's sibling cases that must come out right, too, before it counts as verified.")


class Matching(Settings):
    """How pairs are found and scored."""

    candidates: int | None = Field(
        None, ge=1, le=200, description="Candidates per offer given to the pair model; left out, 10 where two feeds are compared and 20 where more are."
    )
    kept: int = Field(5, ge=1, le=200, description="Scored pairs kept per offer.")
    seed: int = Field(7, description="Seed of everything random in fitting.")
    fit_offers: int = Field(30_000, ge=100, description="Offers sampled to fit the unsupervised scorer when there is no champion.")


class Learning(Settings):
    """How people's answers teach."""

    hold_flagged: bool = Field(
        False,
        description="Hold back from teaching and judging whoever errs on gold items more often than a careful person could; their answers stay in force.",
    )


def _web_address(given: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+([/?]\S*)?", given):
        raise ValueError(f"{given!r} is no address of the kind https://receiver.example/path")
    return given


def _network(given: str) -> str:
    try:
        return str(ipaddress.ip_network(given))
    except ValueError:
        raise ValueError(f"{given!r} is neither an address nor a network such as 10.1.2.0/24") from None


Event = Literal["run.done", "run.failed", "delivery.held", "override.stored"]


class Webhook(Settings):
    """Who is told of what happens, by a signed POST."""

    url: Annotated[str, AfterValidator(_web_address)] = Field(description="The receiver's address, http or https.")
    secret_env: str = Field(
        pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the environment variable that holds the secret deliveries are signed with."
    )
    events: list[Event] = Field(list(get_args(Event)), min_length=1, description="What it is told of; everything when left out.")


class Oidc(Settings):
    """An OpenID provider by which people sign in; needs `endcap[oidc]`. Passwords and the printed link go on beside it."""

    issuer: Annotated[str, AfterValidator(_web_address)] = Field(
        description="The provider's issuer, exactly as it calls itself; https but on your own machine."
    )
    client_id: str = Field(min_length=1, description="What the provider calls endcap. The address to come back to is /sign-in/return.")
    secret_env: str | None = Field(
        None, pattern="^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the environment variable that holds the client's secret; none for a public client."
    )
    ask: list[str] = Field(["profile", "email"], description="Scopes asked of the provider beside openid.")
    name_claim: str = Field("email", description="The claim that names the user; an address that the provider says is not verified is refused.")
    role_claim: str = Field("groups", description="The claim, a text or a list of texts, that says what the user may do.")
    roles: dict[str, Literal["viewer", "reviewer", "lead", "admin"]] = Field(
        min_length=1, description="Role by value of that claim; the highest counts, and whoever has none may not come in."
    )
    team: str = Field("", description="Team of users who come in for the first time; `team` when left out.")


class Destination(Settings):
    """A network that may be asked though it is not public, or at other ports than 80 and 443."""

    network: Annotated[str, AfterValidator(_network)] = Field(description="An address or a network, e.g. 10.1.2.0/24; never a name.")
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field([80, 443], min_length=1, description="Its ports.")
    purpose: Literal["webhooks", "pictures", "sign-in"] = Field(
        "webhooks", description="For what; addresses of pictures come from suppliers, those of webhooks and of the OpenID provider from you."
    )


class Catalog(Settings):
    """The whole settings file."""

    name: str = Field("catalog", description="The catalog's name, shown to people.")
    home: str = Field("catalog", description="Folder of the lake, models and published snapshots, beside this file unless absolute.")
    inbox: str = Field("inbox", description="Folder in which deliveries arrive, beside this file unless absolute.")
    database: str | None = Field(None, description="SQLAlchemy address of the operational database; SQLite in `home` when left out.")
    taxonomy: str | None = Field(None, description="CSV file of the house's categories: `category` (a path joined by ' > ') and `words` (separated by '|').")
    team: str = Field("catalog", description="The team that owns scopes nobody else was given.")
    engine: Annotated[str, _on_shelf("engines")] = Field("local", description="Which engine runs row-independent work.")
    cores: int = Field(0, ge=0, description="Processes of the local engine; 0 means all cores.")
    batch_rows: int = Field(10_000, ge=100, description="Rows a batch; bounds memory.")
    targets: list[Annotated[str, _on_shelf("targets")]] = Field(
        ["parquet", "jsonl"], description="Where a snapshot is published: names from the targets shelf."
    )
    matching: Matching = Field(default_factory=lambda: Matching(), description="How pairs are found and scored.")
    policy: Policy = Field(default_factory=lambda: Policy(), description="What the machine may decide alone.")
    learning: Learning = Field(default_factory=lambda: Learning(), description="How people's answers teach.")
    govern: Govern = Field(default_factory=lambda: Govern(), description="Who decides on changes, and what people may do in a day.")
    webhooks: list[Webhook] = Field([], description="Who is told of runs, held deliveries and people's answers.")
    oidc: Oidc | None = Field(None, description="An OpenID provider by which people sign in.")
    allow_outgoing: list[Destination] = Field(
        [], description="Networks that webhooks, pictures or sign-in may lead to beside public addresses at ports 80 and 443."
    )
    pictures: bool = Field(True, description="Fetch offers' pictures from where suppliers say, so that pages can show them; they are kept in `home`.")
    feeds: dict[str, Feed] = Field(min_length=1, description="The suppliers' feeds by name.")

    _root: Path = PrivateAttr(default=Path())

    @property
    def root(self) -> Path:
        """The folder of the settings file."""
        return self._root

    @property
    def home_path(self) -> Path:
        return self._root / self.home

    @property
    def inbox_path(self) -> Path:
        return self._root / self.inbox

    @property
    def database_url(self) -> str:
        """The operational database's address; a home's folder may hold any character."""
        from sqlalchemy import URL

        return self.database or URL.create("sqlite", database=str(self.home_path / "ops.sqlite")).render_as_string(hide_password=False)


def read(path: Path, *, overrides: dict[str, Any] | None = None) -> Catalog:
    """Read a settings file, or `endcap.yaml` in a folder.

    `overrides` replaces top-level settings (from command-line options). Raises BadInput when the file is missing or
    not YAML, and BadSettings with every mistake at once.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.exists():
        raise BadInput(f"there is no settings file {file}", where="--dir", todo="run `endcap init DIR` or name the folder with --dir")
    catalog = parse(_load(file), where=str(file), overrides=overrides)
    catalog._root = file.parent
    return catalog


def parse(given: Any, *, where: str, overrides: dict[str, Any] | None = None) -> Catalog:
    """Settings from a plain dict. Raises BadSettings with every mistake at once."""
    if not isinstance(given, dict):
        raise BadInput("the settings file holds no settings", where=where, todo="it must be a mapping of names to values; see `endcap init`")
    try:
        catalog = Catalog.model_validate({**given, **(overrides or {})})
    except ValidationError as error:
        raise BadSettings(mistakes_of(error, Catalog), where=where) from None
    mistakes = cross_check(catalog) + [f"policy.marketplaces: {one}" for one in unknown_feeds(catalog, catalog.policy.marketplaces)]
    if mistakes:
        raise BadSettings(mistakes, where=where)
    return catalog


def mistakes_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake of a group of settings, each in words."""
    return [_mistake(detail, model) for detail in error.errors()]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the settings file."""
    return Catalog.model_json_schema()


def _load(file: Path) -> Any:
    try:
        return load_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split()).replace('in "<unicode string>", line', "in line")
        raise BadInput(f"the settings file is not readable YAML: {words}", where=str(file), todo="correct that line") from None


def load_yaml(text: str) -> Any:
    """Plain values of a YAML text. Raises yaml.YAMLError, also for a key given twice."""
    return yaml.load(text, Loader=_UniqueKeyLoader)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error, not silently the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _value in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def cross_check(catalog: Catalog) -> list[str]:
    """Mistakes that lie between settings, in words."""
    mistakes = []
    if catalog.policy.review > catalog.policy.accept:
        mistakes.append("policy.review must not be above policy.accept")
    urls = [hook.url for hook in catalog.webhooks]
    mistakes += [f"webhooks: {url} is named twice; give all its events in one" for url in sorted({url for url in urls if urls.count(url) > 1})]
    for name, feed in catalog.feeds.items():
        if not name.replace("-", "").replace("_", "").isalnum():
            mistakes.append(f"feeds.{name}: a feed's name holds letters, digits, '-' and '_' only")
        unmapped = [field for field in feed.require if getattr(feed.fields, field) is None]
        mistakes += [f"feeds.{name}.require: {field} is required but not mapped under fields" for field in unmapped]
        if feed.numbers.decimal == feed.numbers.thousands:
            mistakes.append(f"feeds.{name}.numbers: decimal and thousands marks are the same")
    return mistakes


def unknown_feeds(catalog: Catalog, names: Iterable[str]) -> list[str]:
    """For each name that is no feed of the catalog, words that say so and name the nearest."""
    return [f"there is no feed {name!r}{_nearest(name, tuple(sorted(catalog.feeds)))}" for name in sorted(set(names) - catalog.feeds.keys())]


def _nearest(given: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f", did you mean {close[0]!r}?" if close else f" (known: {', '.join(known)})"


def _mistake(detail: Any, model: type[BaseModel]) -> str:
    place = ".".join(str(step) for step in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{place}: unknown setting{_nearest(str(detail['loc'][-1]), _known_at(detail['loc'][:-1], model))}"
    if place == "feeds" and detail["type"] == "too_short":
        return "feeds: there is no feed yet; `endcap feed add FILE --write` adds one from a sample delivery"
    if detail["type"] == "missing":
        return f"{place}: missing"
    message = detail["msg"].removeprefix("Value error, ")
    shown = repr(detail["input"])
    given = f" (given: {shown})" if len(shown) <= 60 and shown not in message else ""
    return f"{place}: {message[0].lower()}{message[1:]}{given}"


def _known_at(loc: tuple[Any, ...], model: Any) -> tuple[str, ...]:
    """Names of the settings that may stand at a place of the file."""
    names_follow = False  # a dict of groups: the next step is a name the user chose
    for step in loc:
        if names_follow:
            names_follow = False
        elif isinstance(model, type) and issubclass(model, BaseModel) and step in model.model_fields:
            annotation = model.model_fields[step].annotation
            names_follow = get_origin(annotation) is dict
            model = _model_in(annotation)
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def _model_in(annotation: Any) -> Any:
    """The settings group inside `dict[str, Group]`, `Group | None` or `Annotated[Group, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
