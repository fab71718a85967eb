"""A shelf is a folder whose every file is one component of a kind; this finds them.

A component is a module. Built-in ones lie in the shelf's folder; a plugin's are found by the entry point group
`endcap.<shelf>`, e.g. `endcap.feeds.formats`. Adding one is one new file and no edit anywhere else.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

SHELVES: dict[str, str] = {
    "formats": "endcap.feeds.formats",
    "features": "endcap.match.features",
    "attributes": "endcap.infer.attributes",
    "metrics": "endcap.metrics",
    "targets": "endcap.publish.targets",
    "engines": "endcap.engine",
    "pages": "endcap.serve.pages",
}


@cache
def names(shelf: str) -> tuple[str, ...]:
    """Names of a shelf's components, sorted, without importing them."""
    package = importlib.import_module(SHELVES[shelf])
    built_in = {module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")}
    plugins = {point.name for point in entry_points(group=SHELVES[shelf])}
    return tuple(sorted(built_in | plugins))


@cache
def component(shelf: str, name: str) -> ModuleType:
    """The component's module. Raises KeyError with the known names when there is none."""
    if name not in names(shelf):
        raise KeyError(f"no {name!r} on the shelf {shelf}; there are {', '.join(names(shelf))}")
    for point in entry_points(group=SHELVES[shelf], name=name):
        module: ModuleType = point.load()
        return module
    return importlib.import_module(f"{SHELVES[shelf]}.{name}")


def components(shelf: str) -> dict[str, ModuleType]:
    """Every component of a shelf by name, in the order of names."""
    return {name: component(shelf, name) for name in names(shelf)}


def words(shelf: str, name: str) -> str:
    """The one sentence a component says of itself to people: the first line of its docstring."""
    return (component(shelf, name).__doc__ or "").strip().split("\n")[0]
