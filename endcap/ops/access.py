"""Who may come in: users with passwords, and passes (sessions, tokens, links that work once), of which only hashes are kept.

Secrets are 256 random bits, so that a plain SHA-256 of them is enough; passwords are hashed with Argon2id (RFC 9106).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Connection, Engine, insert, select, update

from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.tables import PASSES, USERS
from endcap.problems import BadInput

# What each role may do, the next includes.
ROLES = ("viewer", "reviewer", "lead", "admin")
SESSION_S, LINK_S = 12 * 3600.0, 15 * 60.0
DAY_S = 86_400.0
MIN_PASSWORD = 12
# Compared with where there is no such user, so that a guess takes as long and says as little.
_NOBODY = PasswordHasher().hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asking, by which pass."""

    name: str
    role: str
    pass_id: str

    def may(self, role: str) -> bool:
        """Whether this one may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def add_user(engine: Engine, name: str, role: str, *, team: str, password: str | None, actor: str) -> None:
    """Make a user, or give one another role and password; sessions of before end. Raises BadInput on an unknown role or a short password."""
    _check_role(role)
    if not name.strip() or len(name) > 120 or not name.isprintable():
        raise BadInput(f"{name!r} is no user's name", where="users", todo="use 1 to 120 printable characters")
    if password is not None and len(password) < MIN_PASSWORD:
        raise BadInput("the password is too short", where="users", todo=f"use at least {MIN_PASSWORD} characters")
    row = {"role": role, "team": team, "password": PasswordHasher().hash(password) if password is not None else None, "made_at": now(), "locked": False}
    with writing(engine) as connection:
        if connection.execute(select(USERS.c.name).where(USERS.c.name == name)).first():
            connection.execute(update(USERS).where(USERS.c.name == name).values(row))
            connection.execute(update(PASSES).where(PASSES.c.name == name).values(ended=True))
        else:
            connection.execute(insert(USERS).values(row | {"name": name}))
        audit.record(connection, actor, "user", name, {"role": role, "team": team, "password": password is not None})


def sign_in(engine: Engine, name: str, password: str) -> str | None:
    """A new session's secret, or None; every refusal takes as long as an acceptance."""
    with engine.connect() as connection:
        user = connection.execute(select(USERS).where(USERS.c.name == name)).mappings().first()
    known = user is not None and user["password"] is not None and not user["locked"]
    try:
        PasswordHasher().verify(str(user["password"]) if user is not None and known else _NOBODY, password)
    except VerificationError:
        known = False
    if user is None or not known:
        with writing(engine) as connection:
            audit.record(connection, "unknown", "refused", name[:120], {"by": "password"})
        return None
    with writing(engine) as connection:
        return _make(connection, "session", name, user["role"], SESSION_S, actor=name)


def make_link(engine: Engine, name: str, role: str) -> str:
    """The secret of a link by which the one who started the server comes in, once."""
    _check_role(role)
    with writing(engine) as connection:
        return _make(connection, "link", name, role, LINK_S, actor=name)


def redeem(engine: Engine, secret: str) -> str | None:
    """A session's secret for a link's, which ends; None where it is not (any more) one."""
    with writing(engine) as connection:
        found = _find(connection, secret, "link")
        if found is None:
            return None
        connection.execute(update(PASSES).where(PASSES.c.pass_id == found.pass_id).values(ended=True))
        return _make(connection, "session", found.name, found.role, SESSION_S, actor=found.name)


def make_token(engine: Engine, name: str, role: str, *, days: float, actor: str) -> str:
    """A program's token for `days` days, shown this once. Raises BadInput on an unknown role or no days."""
    _check_role(role)
    if not 0 < days <= 366:
        raise BadInput(f"a token cannot hold {days:g} days", where="tokens", todo="give 1 to 366")
    with writing(engine) as connection:
        return _make(connection, "token", name, role, days * DAY_S, actor=actor)


def end(engine: Engine, pass_id: str, *, actor: str) -> bool:
    """End a pass at once; False where there is none of that name."""
    with writing(engine) as connection:
        found = connection.execute(update(PASSES).where(PASSES.c.pass_id == pass_id, ~PASSES.c.ended).values(ended=True)).rowcount == 1
        if found:
            audit.record(connection, actor, "end pass", pass_id, {})
    return found


def who(engine: Engine, secret: str, kind: str) -> Person | None:
    """The person whom a session or token stands for now."""
    found = who_until(engine, secret, kind)
    return found[0] if found else None


def who_until(engine: Engine, secret: str, kind: str) -> tuple[Person, float] | None:
    """As `who`, with the second since 1970 at which the pass ends by itself."""
    with engine.connect() as connection:
        person = _find(connection, secret, kind)
        until = connection.execute(select(PASSES.c.until).where(PASSES.c.secret == _hash(secret))).scalar()
    return None if person is None or until is None else (person, until)


def _find(connection: Connection, secret: str, kind: str) -> Person | None:
    found = connection.execute(
        select(PASSES.c.name, PASSES.c.role, PASSES.c.pass_id).where(
            PASSES.c.secret == _hash(secret), PASSES.c.kind == kind, ~PASSES.c.ended, PASSES.c.until > time.time()
        )
    ).first()
    return Person(*found) if found else None


def _make(connection: Connection, kind: str, name: str, role: str, seconds: float, *, actor: str) -> str:
    secret, pass_id, made = secrets.token_urlsafe(32), secrets.token_hex(8), time.time()
    row = {"secret": _hash(secret), "pass_id": pass_id, "kind": kind, "name": name, "role": role, "made": made, "until": made + seconds, "ended": False}
    connection.execute(insert(PASSES).values(row))
    audit.record(connection, actor, f"make {kind}", name, {"pass": pass_id, "role": role})
    return secret


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise BadInput(f"there is no role {role!r}", where="users", todo=f"use {', '.join(ROLES)}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
