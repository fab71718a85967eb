"""The house: import directions, no cycle, one writer a table, names without drawers, functions that can be seen whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from sqlalchemy import Table

from endcap import checks, schema, shelf
from endcap.ops import tables as operational

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "endcap"
# Rooms may import what stands in an earlier group; within the first group there is no order, only no cycle.
ORDER = (
    {"problems", "schema", "shelf", "settings", "text", "units", "gtin", "shares"}, {"engine"}, {"lake"}, {"ops"}, {"feeds"}, {"match"}, {"infer"},
    {"decide"}, {"review"}, {"learn"}, {"publish"}, {"govern"}, {"journey"}, {"usable"}, {"flow"}, {"doctor", "checks"}, {"serve"}, {"cli"},
)  # fmt: skip
GROUND = ORDER[0]
APART = {"sandbox": {"schema"}, "metrics": {"schema", "shelf", "problems", "shares"}}
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 500


@cache
def modules() -> tuple[tuple[str, Path, ast.Module], ...]:
    """Every module of the package: its dotted name, its file, what it says."""
    return tuple(
        (".".join(("endcap", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"), path, ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(tree: ast.Module) -> set[str]:
    """Dotted names of endcap that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("endcap.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "endcap":
            found |= {f"endcap.{alias.name}" for alias in node.names if alias.name != "__version__"}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("endcap."):
            found.add(node.module)
    return found


def test_rooms_import_leftwards_only() -> None:
    rank = {name: number for number, group in enumerate(ORDER) for name in group}
    wrong = []
    for module, _path, tree in modules():
        here = room(module)
        for imported in imports(tree):
            there = room(imported)
            if there == here or not here:
                continue
            if here in APART:
                allowed = there in APART[here]
            elif there in APART:
                allowed = rank[here] >= rank["govern"]
            else:
                allowed = rank[there] < rank[here] or (here in GROUND and there in GROUND)
            if not allowed:
                wrong.append(f"{module} imports {imported}")
    assert not wrong, wrong


def test_every_room_has_its_place() -> None:
    named = set().union(*ORDER) | set(APART)
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")} - {"__init__"}
    assert there <= named, there - named


def test_no_import_cycle_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module, _path, tree in modules():
        if room(module):
            graph.setdefault(room(module), set()).update(room(one) for one in imports(tree) if room(one) != room(module))
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def test_each_lake_table_has_one_writer() -> None:
    """Rows reach a table by `yield schema.Noun, ...` in a stage that calls the writer's room, or by `append(schema.Noun, ...)` in that room."""
    sites: dict[str, list[set[str]]] = {}
    for module, _path, tree in modules():
        came_from = {alias.asname or alias.name: room(node.module or "") for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            called = {came_from.get(node.func.id, "") for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
            for noun, appended in nouns_written(function):
                sites.setdefault(noun, []).append({room(module)} if appended else called)
    for noun in schema.NOUNS:
        assert len({frozenset(rooms) for rooms in sites.get(noun.__name__, [])}) == 1, f"{noun.__name__} is written in {sites.get(noun.__name__)}"
        assert noun.WRITER in sites[noun.__name__][0], f"{noun.__name__} is written by {sites[noun.__name__]}, not {noun.WRITER}"


def nouns_written(function: ast.FunctionDef) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            first, appended = node.value.elts[0], False
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append" and len(node.args) == 2:
            first, appended = node.args[0], True
        else:
            continue
        if isinstance(first, ast.Attribute) and isinstance(first.value, ast.Name) and first.value.id == "schema":
            yield first.attr, appended


def test_each_operational_table_has_one_writer() -> None:
    by_name = {name: value for name, value in vars(operational).items() if isinstance(value, Table)}
    written: dict[str, set[str]] = {}
    for module, _path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("insert", "update", "delete"):
                target = node.args[0]
                assert isinstance(target, ast.Name), f"{module} writes a table that is not named"
                written.setdefault(target.id, set()).add(room(module))
    for name, rooms in written.items():
        assert rooms == {by_name[name].info["writer"]}, f"{name} is written by {rooms}"


def test_no_drawers() -> None:
    names = {part for module, _path, _tree in modules() for part in module.split(".")}
    assert not names & {"utils", "util", "misc", "helpers", "helper", "common", "manager", "managers"}


def test_functions_and_files_can_be_seen_whole() -> None:
    long = []
    for module, path, tree in modules():
        if path.read_text(encoding="utf-8").count("\n") > MAX_FILE_LINES:
            long.append(f"{module} is over {MAX_FILE_LINES} lines")
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        lengths = {f"{module}.{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
        long += [f"{name} has {length} lines" for name, length in lengths.items() if length > MAX_FUNCTION_LINES]
    assert not long, long


def test_nothing_untrusted_can_execute() -> None:
    """Promise P11: no pickle, no eval, no unsafe YAML, no numpy objects (THREATS C11)."""
    found = []
    for module, _path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                if isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.split(".")[0])
                found += [f"{module} imports {name}" for name in names & {"pickle", "joblib", "cloudpickle", "shelve", "marshal", "dill"}]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                found.append(f"{module} calls {node.func.id}")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not (isinstance(node.value, ast.Constant) and node.value.value is False):
                found.append(f"{module} allows pickle")
    assert not found, found


@pytest.mark.parametrize("name", sorted(shelf.SHELVES))
def test_components_pass_their_shelfs_checks(name: str) -> None:
    results = checks.check_all(name)
    assert results, f"the shelf {name} has no checks"
    assert {result.component.split(":")[0] for result in results} == {name}
    assert {result.component.split(":")[1] for result in results} == set(shelf.names(name))
    assert not [result for result in results if result.fault]
