"""What several tests share: one demo catalog, made once a session, and the `endcap` command as a user types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from desk import browser, desk

__all__ = ["browser", "desk"]
SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests of one group share what is dear to make; where the workers' plugin groups nothing it is made twice, unseen but for the time."""
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
    if getattr(session.config.option, "loadgroup", False) and grouped and not any("@" in item.nodeid for item in grouped):
        pytest.exit("--dist loadgroup groups no tests: this pytest-xdist does not fit this pytest", returncode=4)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def endcap(*arguments: str | Path, cwd: Path | None = None, given: str | None = None) -> Ran:
    """Run the installed `endcap` command."""
    command = [str(Path(sys.executable).with_name("endcap")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, input=given, timeout=570, env={**os.environ, "COLUMNS": "120"})
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """A finished demo: its folder and what it printed as JSON."""

    folder: Path
    report: dict[str, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo of 1,500 offers; nobody may change it (see `copy_of_demo`)."""
    folder = tmp_path_factory.mktemp("demo") / "world"
    done = endcap("demo", "--dir", folder, "--offers", "1500", "--json")
    assert done.code == 0, done.stderr
    return Demo(folder, done.json)


@pytest.fixture
def copy_of_demo(demo: Demo, tmp_path: Path) -> Path:
    """The demo's folder, to be changed at will."""
    return Path(shutil.copytree(demo.folder, tmp_path / "world"))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The path of something in the folder of real data; the test skips where that folder is missing, except in CI."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            if os.environ.get("CI") and SHARED.exists():
                pytest.fail(f"{relative} is missing from the shared data")
            pytest.skip(f"needs ../shared/{relative}, real data that is not part of the repository")
        return path

    return find
