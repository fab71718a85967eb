"""The operational database, the same on SQLite and on a real Postgres: migrations, writers in turn, and an audit that cannot be altered unseen."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import empty_database
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import DatabaseError

from endcap import settings
from endcap.govern.switches import switch
from endcap.learn.labels import hold
from endcap.ops import access, audit, database
from endcap.ops.access import Scope
from endcap.ops.database import open_database, writing
from endcap.ops.home import Home
from endcap.ops.tables import AUDIT, HEAD, METADATA, OVERRIDES, PROMOTIONS, RELEASES, REVIEWER_HOLDS, SWITCHES, USERS
from endcap.problems import BadInput
from endcap.review.override import store

ANSWER = {
    "offer_id": "one:1", "action": "same", "actor": "kim", "team": "t", "reason_code": "", "note": "", "identity_hash": 1, "snapshot_id": "s",
    "at": "2026-01-01T00:00:00Z",
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'operational.db'}"
    return empty_database(request.getfixturevalue("postgres"))


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    found = open_database(address)
    yield found
    found.dispose()


def test_the_steps_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def test_a_database_from_before_the_steps_is_brought_up_and_keeps_its_answers(address: str) -> None:
    from endcap.ops.migrations.versions import step_001

    old = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    from alembic.operations import Operations

    with old.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        step_001.upgrade()
        connection.execute(insert(OVERRIDES).values(ANSWER))
    old.dispose()
    engine = open_database(address)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert connection.execute(select(OVERRIDES.c.offer_id, OVERRIDES.c.key)).all() == [("one:1", None)]
    if engine.dialect.name == "sqlite":
        copy = sqlite3.connect(f"{engine.url.database}.step-001")
        assert copy.execute("SELECT count(*) FROM overrides").fetchone() == (1,)
        assert copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'audit'").fetchone() == (0,)
    engine.dispose()


def test_what_was_there_before_it_was_sealed_is_sealed_as_it_is(address: str) -> None:
    old = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    from alembic.operations import Operations

    with old.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        for number in range(1, 8):
            import_module(f"endcap.ops.migrations.versions.step_{number:03}").upgrade()
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('007')"))
        connection.execute(insert(USERS).values(name="ana", role="viewer", team="t", made_at="2026-01-01T00:00:00Z", locked=False))
        said = {"actor": "ana", "reason": "why", "at": "2026-01-01T00:00:00Z"}
        connection.execute(insert(RELEASES).values(feed="nord", date="2026-01-01", **said))
        connection.execute(insert(SWITCHES).values(scope="*", automation=False, **said))
        connection.execute(insert(PROMOTIONS).values(kind="match", model_id="0123", action="promote", data_version="", **said))
        connection.execute(insert(REVIEWER_HOLDS).values(person="ben", held=True, **said))
    old.dispose()
    engine = open_database(address)
    access.grant(engine, "ana", Scope("lead", "seller"), actor="test")
    assert audit.verify(engine) == audit.Verified(4)
    with engine.begin() as connection:
        connection.execute(text("UPDATE switches SET automation = true"))
    assert "switches 1 was altered" in audit.verify(engine).words
    engine.dispose()


@pytest.mark.parametrize(("statement", "words"), [
    ("UPDATE users SET role = 'admin' WHERE name = 'ana'", "users ana was altered"),
    ("UPDATE users SET password = 'other' WHERE name = 'ana'", "users ana was altered"),
    ("DELETE FROM grants", "grants ana seller [*] was removed"),
    ("UPDATE grants SET role = 'admin'", "grants ana seller [*] was altered"),
    ("INSERT INTO users VALUES ('eve', 'admin', 't', NULL, '2026', false, NULL)", "users eve was made"),
    ("UPDATE passes SET role = 'admin'", "passes [0-9a-f]+ was altered"),
    ("UPDATE passes SET ended = false", "passes [0-9a-f]+ was altered"),
])  # fmt: skip
def test_who_may_do_what_is_sealed(engine: Engine, statement: str, words: str) -> None:
    for password in ("a long enough password", "another long password"):
        access.add_user(engine, "ana", "reviewer", team="t", password=password, actor="test")
        access.grant(engine, "ana", Scope("reviewer", "seller"), actor="test")
        secret = access.sign_in(engine, "ana", password)
        assert secret is not None and audit.verify(engine).broken is None
    for token in ("sync", "other"):
        access.make_token(engine, token, "viewer", days=1, actor="test")
    person = access.who(engine, secret, "session")
    assert person is not None and access.end(engine, person.pass_id, actor="test")
    before = audit.verify(engine)
    assert before.broken is None
    with engine.begin() as connection:
        connection.execute(text(statement))
    found = audit.verify(engine)
    assert found.broken == before.rows + 1 and re.search(f"{words} past the product", found.words)


def test_no_two_users_differ_only_in_case_or_surrounding_spaces(engine: Engine) -> None:
    access.add_user(engine, "Ana Groß", "reviewer", team="t", password=None, actor="test")
    for name in ("ana groß", "ANA GROSS", " Ana Groß", "Ana Groß "):
        with pytest.raises(BadInput, match=f"'{name}' is the name of the user 'Ana Groß' but for case and surrounding spaces"):
            access.add_user(engine, name, "reviewer", team="t", password=None, actor="test")
        with pytest.raises(BadInput, match="'Ana Groß' may have this name"):
            access.sign_in_outside(engine, name, "reviewer", subject="issuer 1", team="t")
    access.add_user(engine, "Ana Groß", "lead", team="t", password=None, actor="test")
    assert [(one.name, one.role) for one in access.users(engine)] == [("Ana Groß", "lead")] and audit.verify(engine).broken is None


def test_who_is_locked_out_is_out_at_once_and_may_come_back(engine: Engine) -> None:
    password = "a long enough password"
    access.add_user(engine, "ana", "reviewer", team="t", password=password, actor="test")
    session, token = access.sign_in(engine, "ana", password), access.make_token(engine, "sync", "viewer", days=1, actor="test", owner="ana")
    access.make_token(engine, "other", "viewer", days=1, actor="test")
    assert session and access.who(engine, session, "session") and access.who(engine, token, "token")
    access.lock(engine, "ana", locked=True, actor="root")
    assert access.who(engine, session, "session") is None and access.who(engine, token, "token") is None and access.sign_in(engine, "ana", password) is None
    assert [one.locked for one in access.users(engine)] == [True] and [one.name for one in access.tokens(engine)] == ["other"]
    for name, words in (("ana", "locked already"), ("nobody", "no user")):
        with pytest.raises(BadInput, match=words):
            access.lock(engine, name, locked=True, actor="root")
    access.lock(engine, "ana", locked=False, actor="root")
    assert access.who(engine, session, "session") is None and access.sign_in(engine, "ana", password), "by a new session"
    assert audit.verify(engine).broken is None


@pytest.mark.parametrize(("statement", "words"), [
    ("INSERT INTO releases VALUES ('markthalle', '2026-03-04', 'lea', 'x', '2026', NULL)", "releases markthalle 2026-03-04 was made"),
    ("INSERT INTO switches (scope, automation, actor, reason, at) VALUES ('*', true, 'lea', 'x', '2026')", "switches 2 was made"),
    ("UPDATE switches SET automation = true", "switches 1 was altered"),
    ("DELETE FROM switches", "switches 1 was removed"),
    ("UPDATE promotions SET model_id = 'another'", "promotions 1 was altered"),
    ("UPDATE reviewer_holds SET held = false", "reviewer_holds 1 was altered"),
])  # fmt: skip
def test_what_was_let_through_switched_put_in_force_and_held_back_is_sealed(copy_of_demo: Path, statement: str, words: str) -> None:
    home = Home(settings.read(copy_of_demo))
    offer_id = str(home.connect().execute("SELECT min(offer_id) FROM offers").fetchall()[0][0])
    said = {"product_id": None, "counterpart_offer_id": None, "reason_code": "", "note": "", "undoes": None, "identity_hash": 0}
    store(home, offer_id=offer_id, action="skip", actor="ben", **said)
    hold(home, "ben", held=True, actor="lea", reason="why")
    switch(home, "*", automation=False, actor="lea", reason="why")
    before = audit.verify(home.engine)
    assert before.broken is None
    with home.engine.begin() as connection:
        connection.execute(text(statement))
    found = audit.verify(home.engine)
    assert found.broken == before.rows + 1 and f"{words} past the product" in found.words


def test_whoever_signs_in_while_the_audit_is_read_does_not_break_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    access.add_user(engine, "ana", "reviewer", team="t", password="a long enough password", actor="test")
    read = audit.seals_of

    def signed_in_meanwhile(*given: Any) -> dict[str, str | None]:
        monkeypatch.undo()
        access.make_token(engine, "sync", "viewer", days=1, actor="test")
        return read(*given)

    monkeypatch.setattr(audit, "seals_of", signed_in_meanwhile)
    assert audit.verify(engine).broken is None and audit.seals_of is read
    assert audit.verify(engine).broken is None
    with engine.begin() as connection:
        connection.execute(text("UPDATE passes SET role = 'admin'"))
    assert audit.verify(engine).broken is not None


def test_a_database_of_a_newer_version_is_refused_in_a_sentence(address: str) -> None:
    engine = open_database(address)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '999'"))
    engine.dispose()
    database._opened.cache_clear()
    with pytest.raises(BadInput, match=r"newer version \(step 999.*update endcap"):
        open_database(address)


@pytest.mark.parametrize("table", ["overrides", "audit"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET actor = 'eve'", "DELETE FROM {}"])
def test_what_was_appended_stays(engine: Engine, table: str, statement: str) -> None:
    with writing(engine) as connection:
        connection.execute(insert(OVERRIDES).values(ANSWER))
        audit.record(connection, "kim", "answer", "one:1", {})
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement.format(table)))
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT actor FROM {table}")).all() == [("kim",)]


def write_many(address: str, actor: str, count: int) -> None:
    engine = open_database(address)
    for number in range(count):
        with writing(engine) as connection:
            key = connection.execute(insert(OVERRIDES).values({**ANSWER, "actor": actor, "key": f"{actor}-{number}"})).inserted_primary_key
            audit.record(connection, actor, "answer", "one:1", {"number": number, "override": key[0] if key else 0})


def test_eight_writers_lose_nothing_and_the_chain_stays_whole(address: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write_many, address, f"reviewer {number}", 25) for number in range(8)]:
            done.result()
    engine = open_database(address)
    assert audit.verify(engine) == audit.Verified(200)
    with engine.connect() as connection:
        keys = connection.execute(select(OVERRIDES.c.key)).scalars().all()
    assert len(keys) == len(set(keys)) == 200
    engine.dispose()


def test_of_eight_that_open_a_new_file_at_once_none_is_refused(tmp_path: Path) -> None:
    def opened(file: Path, together: Barrier) -> str:
        with closing(sqlite3.connect(file, check_same_thread=False)) as connection:
            together.wait()
            database._make_durable(connection, None)
            return str(connection.execute("PRAGMA journal_mode").fetchone()[0])

    for turn in range(60):
        together = Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            modes = pool.map(opened, [tmp_path / f"{turn}.db"] * 8, [together] * 8)
            assert list(modes) == ["wal"] * 8


def test_what_fails_half_way_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        connection.execute(insert(OVERRIDES).values(ANSWER))
        audit.record(connection, "kim", "answer", "one:1", {})
        _ = 1 / 0
    with engine.connect() as connection:
        assert connection.execute(select(OVERRIDES)).all() == [] == connection.execute(select(AUDIT)).all()


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from test_ops import write_many
print("ready", flush=True)
write_many(sys.argv[1], sys.argv[3], 100_000)
"""


@pytest.mark.parametrize("address", ["sqlite", pytest.param("postgres", marks=pytest.mark.nightly)], indirect=True)
def test_a_writer_killed_at_any_moment_leaves_a_whole_chain(address: str) -> None:
    engine = open_database(address)
    for moment_s in (0.05, 0.2, 0.35):
        child = subprocess.Popen([sys.executable, "-c", KILLED, address, str(Path(__file__).parent), f"killed {moment_s}"], stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(moment_s)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        found = audit.verify(engine)
        with engine.connect() as connection:
            stored = connection.execute(select(OVERRIDES.c.override_id).order_by(OVERRIDES.c.override_id.desc())).scalars().all()
        assert found.broken is None and found.rows == len(stored), "each answer with its record, or neither"
    engine.dispose()


def test_what_is_cut_off_at_the_end_of_the_audit_is_found_by_what_was_noted_beside_it(tmp_path: Path) -> None:
    write_many(f"sqlite:///{tmp_path / 'o.db'}", "kim", 6)
    engine, heads = open_database(f"sqlite:///{tmp_path / 'o.db'}"), tmp_path / audit.HEADS
    for _time in range(2):
        audit.note_head(engine, heads)
    assert len(heads.read_text(encoding="utf-8").splitlines()) == 1 and audit.verify(engine, heads) == audit.Verified(6)
    other = sqlite3.connect(tmp_path / "o.db")
    other.execute("DROP TRIGGER audit_no_delete")
    other.execute("DELETE FROM audit WHERE audit_id > 4")
    other.commit()
    found = audit.verify(engine, heads)
    assert (found.rows, found.broken) == (4, 5) and "rows 5 to 6 are missing" in found.words
    write_many(f"sqlite:///{tmp_path / 'o.db'}", "eve", 4)
    assert audit.verify(engine, heads).words == f"row 6 is another one than {audit.HEADS} noted"


def test_an_answer_that_no_row_speaks_of_is_found(tmp_path: Path) -> None:
    write_many(f"sqlite:///{tmp_path / 'o.db'}", "kim", 2)
    engine = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    with writing(engine) as connection:
        connection.execute(insert(OVERRIDES).values({**ANSWER, "actor": "ghost", "key": "forged"}))
    assert "no row speaks of answer 3 (by ghost)" in audit.verify(engine).words


ALTERATIONS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "a word of it": (lambda c: c.execute('UPDATE audit SET details_json = \'{"number": 9, "override": 3}\' WHERE audit_id = 3'), 3),
    "its actor": (lambda c: c.execute("UPDATE audit SET actor = 'eve' WHERE audit_id = 2"), 2),
    "a row taken out": (lambda c: c.execute("DELETE FROM audit WHERE audit_id = 4"), 4),
    "two rows exchanged": (
        lambda c: [c.execute(f"UPDATE audit SET audit_id = {to} WHERE audit_id = {one}") for one, to in ((2, 99), (3, 2), (99, 3))],
        2,
    ),
    "a seal": (lambda c: c.execute("UPDATE audit SET seal = '0' || substr(seal, 2) || 'f' WHERE audit_id = 5"), 5),
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_whoever_alters_the_audit_past_the_database_is_found(what: str, tmp_path: Path) -> None:
    alter, row = ALTERATIONS[what]
    write_many(f"sqlite:///{tmp_path / 'o.db'}", "kim", 6)
    engine = open_database(f"sqlite:///{tmp_path / 'o.db'}")
    assert audit.verify(engine) == audit.Verified(6)
    other = sqlite3.connect(tmp_path / "o.db")
    for verb in ("update", "delete"):
        other.execute(f"DROP TRIGGER audit_no_{verb}")
    alter(other)
    other.commit()
    other.close()
    found = audit.verify(engine)
    assert found.broken == row and found.words
