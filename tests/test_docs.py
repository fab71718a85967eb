"""The docs say what the code says, and every command in them is one that runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from conftest import SHARED, Demo, Ran, endcap

from endcap import schema, settings, shelf
from endcap.cli import app
from endcap.govern.proposal_files import checked
from endcap.govern.proposals import propose
from endcap.learn.train import train
from endcap.ops.home import Home
from endcap.ops.tables import METADATA
from endcap.review.override import answer
from endcap.review.queue import waiting
from endcap.serve.app import make_app
from endcap.serve.sample_catalog import SampleGate, SampleHome

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# Commands that these tests parse but do not run, with the reason.
NOT_RUN = {r"make\b": "it sets up an environment of its own, or runs these very tests"}
# Commands that take longer than the fast set allows.
NIGHTLY = {
    r"endcap demo\b": "a whole world; the fixture `demo` runs it with fewer offers",
    r"endcap sandbox\b": "a whole world",
    r"endcap .*examples/grocers\b": "half a minute for each date of real deliveries",
    r"endcap evaluate cluster .*pricerunner": "306 shops: half a minute and more",
    r"endcap evaluate promise\b": "two whole fits on real data; tests/test_promise.py asks the same of a small world",
    r"endcap evaluate loop\b": "two rounds on real data; tests/test_evaluate_loop.py plays them on a small file",
}
# Pages that another test plays whole.
PLAYED = {"stories.md": "tests/test_stories.py"}
# Lines that only a shell understands, and a server, which ends with its process.
FOR_A_SHELL = re.compile(r"[|&;<>$*]|endcap serve\b")
HELD = 3
FIRST_OF_TWO = re.compile(r"endcap release .*--by buyer\b")  # is noted, and told that it takes another
ANSWERS = 60

# --- the pages say what the code says -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    if str(DOCS) not in sys.path:
        sys.path.insert(0, str(DOCS))
    return importlib.import_module("generate")


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands on a page under a heading, up to the next one as high."""
    marks = heading.split(" ")[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(marks)}}} |\Z)", text(name), flags=re.M | re.S)
    assert found, f"docs/{name} has no {heading!r}"
    return found[1]


def rows(part: str) -> set[str]:
    """First cells of a section's tables, without backticks."""
    return {line.split("|")[1].strip().strip("`") for line in part.splitlines() if line.startswith("| `")}


def test_the_pages_are_as_generated(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    stale = generate.main(["--check"])
    assert stale == 0, capsys.readouterr().out


def test_a_page_that_drifted_is_named(generate: ModuleType, tmp_path: Path) -> None:
    assert generate.write(tmp_path) == list(generate.PAGES)
    assert generate.drifted(tmp_path) == []
    page = tmp_path / "settings.md"
    page.write_text(page.read_text(encoding="utf-8").replace("`0.85`", "`0.9`"), encoding="utf-8")
    (tmp_path / "api.md").unlink()
    assert generate.drifted(tmp_path) == ["settings.md", "api.md"]


def test_the_pages_do_not_depend_on_hash_seeds() -> None:
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_is_described() -> None:
    described = settings.json_schema()
    shown = [rows(part) for part in text("settings.md").split("\n## ")[1:]]
    groups = {"Catalog": described, **described["$defs"]}
    assert len(shown) == len(groups)
    for group, shape in groups.items():
        assert set(shape["properties"]) in shown, f"the settings of {group} are not shown whole"
        for name, one in shape["properties"].items():
            assert "$ref" in one or one.get("description"), f"{group}.{name} has no description"


def examples() -> list[tuple[str, str]]:
    """Blocks of YAML that name feeds, with the page they stand on."""
    pages = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
    blocks = [(page.name, block) for page in pages for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)]
    return [(page, block) for page, block in blocks if re.search(r"^feeds:", block, flags=re.M)]


@pytest.mark.parametrize(("page", "block"), examples())
def test_an_example_of_settings_is_right(page: str, block: str) -> None:
    assert settings.parse(yaml.safe_load(block), where=page).feeds


def test_the_pages_show_settings() -> None:
    assert "settings.md" in {page for page, _block in examples()}
    assert json.loads(text("endcap.schema.json")) == settings.json_schema()


@pytest.mark.parametrize("name", sorted(shelf.SHELVES))
def test_every_component_is_described(name: str) -> None:
    page = section("shelves.md", f"## {name}")
    for component, module in shelf.components(name).items():
        assert f"| `{component}` | " in page, f"{name}:{component}"
        for option in getattr(module, "OPTIONS", {}):
            assert f"| `{component}` | `{option}` | " in page, f"option {option} of {component}"
        for rail in getattr(module, "GUARD_RAILS", ()):
            assert rail in page, f"guard rail of {component}"


def test_every_table_and_column_is_described() -> None:
    for noun in schema.NOUNS:
        page = section("tables.md", f"### {noun.__name__}")
        assert f"Table `{noun.TABLE}`, written by `{noun.WRITER}`" in page
        assert rows(page) == set(schema.arrow_schema(noun).names), noun.TABLE
    for table in METADATA.sorted_tables:
        page = section("tables.md", f"### {table.name}")
        assert f"written by `{table.info['writer']}`" in page
        assert rows(page) == {column.name for column in table.columns}, table.name


def test_every_route_is_described() -> None:
    served = make_app(SampleHome(), SampleGate())
    described = text("api.md")
    for path, methods in served.openapi()["paths"].items():
        for method, route in methods.items():
            assert f"| `{method.upper()} {path}` | " in described
            assert route.get("description"), f"{path} has no sentence"
    for page in shelf.components("pages").values():
        for route in page.router.routes:
            assert f"| `GET {route.path.replace(':path', '')}` | " in described


def verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, (*words, name))


def test_every_verb_and_option_is_described() -> None:
    for words, command in verbs(typer.main.get_command(app)):
        if hasattr(command, "commands"):
            continue
        page = section("commands.md", f"## endcap {' '.join(words)}")
        assert command.help and command.help.split("\n")[0].removesuffix(".") in page, f"{words} has no sentence"
        for parameter in command.params:
            assert parameter.help, f"{words}: {parameter.name} has no help"
            for name in parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]:
                assert name in page, f"{words}: {name}"


def test_a_verb_that_a_sentence_names_is_there() -> None:
    """Errors and pages say what to do next, with the command: every `endcap ...` in backticks in the code."""
    known = {words: hasattr(command, "commands") for words, command in verbs(typer.main.get_command(app)) if words}
    named = {
        (file.name, *found.groups()) for file in (ROOT / "endcap").rglob("*.py")
        for found in re.finditer(r"`endcap ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", file.read_text(encoding="utf-8"))
    }  # fmt: skip
    wrong = [(file, verb, after) for file, verb, after in named if (verb,) not in known or (after and known[(verb,)] and (verb, after) not in known)]
    assert wrong == [] and len(named) > 60


def test_pages_named_anywhere_are_there() -> None:
    files = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "endcap").rglob("*.py")), *sorted((ROOT / "endcap").rglob("*.yaml"))]
    missing = []
    for file in files:
        content = file.read_text(encoding="utf-8")
        missing += [f"{file.name}: {name}" for name in re.findall(r"\bdocs/[\w.-]+\.\w+", content) if not (ROOT / name).exists()]
        if file.suffix == ".md":
            targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", content) if "://" not in target]
            missing += [f"{file.name}: {target}" for target in targets if not leads_somewhere(file, target)]
    assert not missing, missing


def leads_somewhere(file: Path, target: str) -> bool:
    """Whether a link's file is there and has the heading it names."""
    name, _hash, anchor = target.partition("#")
    page = file.parent / name if name else file
    if not page.exists() or not anchor:
        return page.exists()
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# --- every command in them runs -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """One command line of a page."""

    page: str
    line: str

    @property
    def place(self) -> str:
        """The commands of a page tell one story in one folder, but `endcap demo` would make anew what the others were given."""
        return self.line if self.line.startswith("endcap demo") else self.page

    def why(self, reasons: dict[str, str]) -> str:
        return next((reason for pattern, reason in reasons.items() if re.match(pattern, self.line)), "")


def commands_in(page: Path) -> list[Written]:
    """Lines of a page's shell blocks that are ours, in their order; a line that ends in a backslash goes on."""
    found = []
    blocks = re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            plain = re.sub(r"(^|\s)#.*$", "", re.sub(r"^\$ ", "", line.strip())).strip()
            if plain.startswith(("endcap ", "make ")):
                found.append(Written(page.name, " ".join(plain.split())))
    return found


COMMANDS = [command for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md"))) for command in commands_in(page)]


def names(written: Written) -> str:
    return f"{written.page}: {written.line}"


def parse(line: str) -> None:
    """Ask the command line, or the Makefile, whether it knows all that a command says. Raises where it does not."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    end = next((at for at, word in enumerate(words) if set(word) <= set("|&;<>")), len(words))
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in words[1:end]:
            assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, flags=re.M), f"make has no {target}"
        return
    command, rest, name = typer.main.get_command(app), words[1:end], "endcap"
    while rest and rest[0] in getattr(command, "commands", {}):
        name = f"{name} {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    assert not hasattr(command, "commands") or (rest[:1] and rest[0].startswith("-")), f"there is no verb {' '.join(rest[:1])!r} after {name}"
    try:
        command.make_context(name, list(rest))
    except typer.Exit:
        assert "--help" in rest


WRONG = {
    "endcap rnu --dir demo": "no verb 'rnu'",
    "endcap evaluate lnik x": "no verb 'lnik'",
    "endcap snapshot": "no verb ''",
    "endcap run --folder demo": "--folder",
    "endcap explain --dir demo": "(?i)missing",
    "endcap serve --port many": "valid integer",
    "make tset": "make has no tset",
}


def test_the_parser_refuses_what_is_not_there() -> None:
    parse("endcap run --dir demo --json | head")
    parse("endcap --version")
    parse("endcap run --help")
    for wrong, said in WRONG.items():
        with pytest.raises(Exception, match=said):
            parse(wrong)


def test_the_pages_show_commands() -> None:
    assert {command.page for command in COMMANDS} >= {"README.md", "shelves.md", "evaluate.md"}


@pytest.mark.parametrize("written", COMMANDS, ids=names)
def test_a_written_command_is_known(written: Written) -> None:
    parse(written.line)


@dataclass(frozen=True)
class Prepared:
    """A demo with answers, a champion that was promoted and a challenger, and what placeholders stand for in it."""

    folder: Path
    stands_for: dict[str, str]


def prepare(folder: Path) -> Prepared:
    home = Home(settings.read(folder))
    with home.connect() as con:
        truth = dict(con.execute(f"SELECT offer_id, product FROM read_csv('{folder}/truth/offers.csv', header = true, all_varchar = true)").fetchall())
        items = [item for item in waiting(con, 0) if item.candidates and item.candidates[0].counterpart_offer_id]
        linked = con.execute("SELECT offer_id, product_id FROM decisions WHERE action = 'linked' ORDER BY offer_id LIMIT 1").fetchone()
        other = con.execute("SELECT max(offer_id) FROM decisions WHERE product_id = ? AND offer_id <> ?", list(linked[::-1]) if linked else []).fetchone()
        held = con.execute("SELECT feed, date FROM deliveries WHERE state = 'held' ORDER BY date DESC, feed LIMIT 1").fetchone()
        snapshots = [row[0] for row in con.execute("SELECT snapshot_id FROM snapshots ORDER BY run").fetchall()]
        gold = con.execute("SELECT left_id, right_id FROM pairs ORDER BY left_id, right_id LIMIT 4").fetchall()
    lines = [f"{left},{right},{int(truth[left] == truth[right])}" for left, right in gold]
    (folder / "gold.csv").write_text("\n".join(["left_id,right_id,same", *lines]) + "\n", encoding="utf-8")
    assert linked and held and other
    for item in items[:ANSWERS]:
        answer(home, item, "same" if truth[item.offer_id] == truth[item.candidates[0].counterpart_offer_id] else "different", actor="tester")
    with home.writer():
        first, second = (train(home, seed=seed).model_id for seed in (7, 8))
    promoted = endcap("promote", first, "--break-glass", "--reason", "so that there is something to roll back", "--dir", folder)
    assert promoted.code == 0, promoted.stderr
    proposed(home, second)
    file = min((folder / "inbox").rglob("*.csv")).relative_to(folder)
    return Prepared(
        folder,
        {"OFFER": linked[0], "OTHER": other[0], "PRODUCT": linked[1], "MODEL": second, "OLD": snapshots[-2], "NEW": snapshots[-1],
         "FEED": held[0], "DATE": held[1], "FILE": f"demo/{file}", "FOLDER": "new-folder", "GOLD": "demo/gold.csv", "NAME": "tester", "DIR": "new-folder"},
    )  # fmt: skip


def proposed(home: Home, model_id: str) -> None:
    """The first proposal, for a model, which waits to be accepted."""
    head = {
        "kind": "model", "title": "another retrain", "hypothesis": "We believe that another retrain for everything will link more because of sixty answers.",
        "change": "put it into production", "metric": "match_rate", "smallest_effect": 0.5, "guard_rails": ["override_rate"], "plan": "replay", "needed": 256,
        "rollback_trigger": "a guard rail falls", "artefact": model_id,
    }  # fmt: skip
    assert propose(home, checked(head, where="test"), actor="tester")["proposal_id"] == 1


@pytest.fixture(scope="module")
def prepared(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The demo up to the day of the last held delivery, while it can still be released."""
    folder = Path(shutil.copytree(demo.folder, tmp_path_factory.mktemp("held") / "demo"))
    shutil.rmtree(folder / "catalog")
    assert endcap("run", "--until", demo.report["held"][-1]["date"], "--dir", folder).code == HELD
    return prepare(folder)


@pytest.fixture(scope="module")
def workplaces(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Prepared]]:
    """For each page a folder that looks like the repository's root after `make demo`, made when it is first needed."""

    class Made(dict[str, tuple[Path, Prepared]]):
        def __missing__(self, key: str) -> tuple[Path, Prepared]:
            place = tmp_path_factory.mktemp("page") / "repository"
            shutil.copytree(prepared.folder, place / "demo")
            shutil.copytree(ROOT / "examples", place / "examples")
            if SHARED.exists():
                (place.parent / "shared").symlink_to(SHARED)
            self[key] = (place, prepared)
            return self[key]

    return Made()


def filled(line: str, stands_for: dict[str, str]) -> str:
    """A command with real ids in place of its placeholders."""
    done = re.sub(r"(?<![\w./-])[A-Z]{2,}(?![\w./-])", lambda found: shlex.quote(stands_for.get(found[0], found[0])), line)
    left = [word for word in shlex.split(done) if re.fullmatch(r"[A-Z]{2,}", word)]
    assert not left, f"{left} stands for nothing; add it to `prepare`"
    return f"{done} --seconds 1 --port 0" if done.startswith("endcap serve") else done


def to_run() -> list[Any]:
    found = []
    for written in (one for one in COMMANDS if one.page not in PLAYED):
        marks = [pytest.mark.skip(reason=f"not run: {written.why(NOT_RUN)}")] if written.why(NOT_RUN) else []
        marks += [pytest.mark.nightly] if written.why(NIGHTLY) else []
        found.append(pytest.param(written, marks=marks, id=names(written)))
    return found


def in_a_shell(line: str, place: Path) -> Ran:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(line, shell=True, cwd=place, input="q\n", capture_output=True, text=True, timeout=570, env=environment)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("written", to_run())
def test_a_written_command_runs(written: Written, workplaces: dict[str, tuple[Path, Prepared]], shared: Any) -> None:
    for needed in re.findall(r"\.\./shared/(\S+)", written.line):
        shared(needed)
    place, world = workplaces[written.place]
    line = filled(written.line, world.stands_for)
    done = in_a_shell(line, place) if FOR_A_SHELL.search(line) else endcap(*shlex.split(line)[1:], cwd=place, given="q\n")
    allowed = (0, HELD) if line.startswith("endcap run") else (2,) if FIRST_OF_TWO.match(line) else (0,)
    assert done.code in allowed, f"{line} ended with {done.code}: {done.stderr[-2000:]}"
    assert done.stdout or done.stderr, f"{line} said nothing"
    if "--json" in shlex.split(line):
        assert isinstance(json.loads(done.stdout), dict), f"{line} did not print one JSON object"


def test_the_readme_tells_the_figures_that_its_picture_shows() -> None:
    picture = (ROOT / "docs" / "pictures" / "demo.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    shown = re.search(r"precision 0(\.\d+), recall 0(\.\d+) of links", picture)
    told = re.search(r"known truth of its world \| precision (\.\d+), recall (\.\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown and told and shown.groups() == told.groups()
