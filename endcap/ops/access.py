"""Who may come in, and to what: users with passwords and roles by scope, and passes (sessions, tokens, links that work once), of which only hashes are kept.

Secrets are 256 random bits, so that a plain SHA-256 of them is enough; passwords are hashed with Argon2id (RFC 9106).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, delete, insert, or_, select, update

from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.names import check_person, person
from endcap.ops.scopes import EVERYTHING, ROLES, Scope, narrowed
from endcap.ops.tables import GRANTS, PASSES, USERS
from endcap.problems import BadInput

__all__ = ["ROLES", "Person", "Scope"]
SESSION_S, LINK_S = 12 * 3600.0, 15 * 60.0
DAY_S = 86_400.0
MIN_PASSWORD = 12
FIRST_WORD_DAYS = 14  # so long the first word of a deed that takes two people waits for the second
NEW_ROLE = "reviewer"  # of a user of whom nothing else is said
# Compared with where there is no such user, so that a guess takes as long and says as little.
_NOBODY = PasswordHasher().hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asking, by which pass. `role` is the highest that this one has anywhere, `scopes` say where; None: everywhere."""

    name: str
    role: str
    pass_id: str
    scopes: tuple[Scope, ...] | None = None

    def may(self, role: str) -> bool:
        """Whether this one may do what `role` may, somewhere."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def may_everywhere(self, role: str) -> bool:
        """Whether this one may do what `role` may with everything; to look is free to all who come in."""
        return role == "viewer" or any(one.is_everything and ROLES.index(one.role) >= ROLES.index(role) for one in self.reach)

    @property
    def reach(self) -> tuple[Scope, ...]:
        """The scopes, that of everything written out."""
        return (Scope(self.role),) if self.scopes is None else self.scopes


@dataclass(frozen=True, slots=True)
class User:
    """One who may sign in; without grants the role holds everywhere."""

    name: str
    role: str
    team: str
    locked: bool
    grants: tuple[Scope, ...]


def add_user(engine: Engine, name: str, role: str | None, *, team: str | None, password: str | None, actor: str, house: str = "") -> User:
    """Make a user, or give one another password, role or team; sessions of before end.

    A role or team that is not given stays what it is, of a new user reviewer and `house`; who is locked stays so. Raises BadInput on an unknown role, a
    short password, or a new name that is another user's but for its case and the spaces around it.
    """
    _check_role(role or NEW_ROLE)
    _check_names(name, team or house)
    if password is not None and len(password) < MIN_PASSWORD:
        raise BadInput("the password is too short", where="users", todo=f"use at least {MIN_PASSWORD} characters")
    secret = PasswordHasher().hash(password) if password is not None else None
    with writing(engine) as connection:
        known = connection.execute(select(USERS).where(USERS.c.name == name)).mappings().first()
        was: Mapping[str, Any] = dict(known) if known is not None else {"role": NEW_ROLE, "team": house, "locked": False}
        row = {"role": was["role"] if role is None else role, "team": was["team"] if team is None else team}
        stored = row | {"password": secret, "made_at": now(), "locked": was["locked"]}
        if known is not None:
            connection.execute(update(USERS).where(USERS.c.name == name).values(stored))
            ended = _end_all(connection, name)
        else:
            ended = {}
            alike = _alike(connection, name)
            if alike is not None:
                what = f"{name!r} is the name of the user {alike!r} but for case and surrounding spaces"
                raise BadInput(what, where="users", todo=f"name the new user otherwise, or write {alike!r} where that one is meant")
            connection.execute(insert(USERS).values(stored | {"name": name}))
        sealed = _sealed_user(connection, name) | ended
        audit.record(connection, actor, "user", name, row | {"password": password is not None, "access": sealed})
        return User(name, row["role"], row["team"], was["locked"], _grants(connection, name))


def lock(engine: Engine, name: str, *, locked: bool, actor: str) -> None:
    """Lock a user out, at once and with every session and token, or let one sign in again; answers and grants stay as they are.

    Raises BadInput for an unknown user, or where nothing would change.
    """
    with writing(engine) as connection:
        _check_user(connection, name)
        if connection.execute(update(USERS).where(USERS.c.name == name, USERS.c.locked != locked).values(locked=locked)).rowcount == 0:
            raise BadInput(f"{name} is {'locked' if locked else 'not locked'} already", where="users", todo="see `endcap users`")
        sealed = _sealed_user(connection, name) | (_end_all(connection, name) if locked else {})
        audit.record(connection, actor, "lock" if locked else "unlock", name, {"access": sealed})


def _end_all(connection: Connection, name: str) -> dict[str, str | None]:
    """End every session and token of a user; returns their seals."""
    its = or_(PASSES.c.name == name, PASSES.c.owner == name)
    open_ones = connection.execute(select(PASSES.c.pass_id).where(its, ~PASSES.c.ended)).scalars().all()
    connection.execute(update(PASSES).where(its).values(ended=True))
    return audit.seals_of(connection, PASSES, PASSES.c.pass_id.in_(open_ones))


def grant(engine: Engine, name: str, scope: Scope, *, actor: str) -> None:
    """Give a user a role for a scope, instead of the one there before; what that user may do comes from such grants alone from then on.

    It holds at once, for sessions and tokens too. Raises BadInput for an unknown user or role, or a role that no scope can have.
    """
    _check_role(scope.role)
    if scope.role == "viewer":
        raise BadInput("a grant cannot be that of a viewer", where="grants", todo=f"everybody who signs in sees everything; use {', '.join(ROLES[1:])}")
    for part in (scope.supplier, scope.category):
        if not part.strip() or len(part) > 400 or not part.isprintable():
            raise BadInput(f"{part!r} names no supplier or category", where="grants", todo=f"use its name, or {EVERYTHING} for all")
    with writing(engine) as connection:
        _check_user(connection, name)
        connection.execute(delete(GRANTS).where(*_this_grant(name, scope)))
        row = {"name": name, "supplier": scope.supplier, "category": scope.category, "role": scope.role, "made_at": now()}
        connection.execute(insert(GRANTS).values(row))
        sealed = audit.seals_of(connection, GRANTS, *_this_grant(name, scope))
        audit.record(connection, actor, "grant", name, {"role": scope.role, "supplier": scope.supplier, "category": scope.category, "access": sealed})


def withdraw(engine: Engine, name: str, scope: Scope, *, actor: str) -> None:
    """Take a user's grant for a scope away, at once. One who has none left does nothing but look. Raises BadInput where there is no such grant."""
    with writing(engine) as connection:
        gone = audit.seals_of(connection, GRANTS, *_this_grant(name, scope))
        if connection.execute(delete(GRANTS).where(*_this_grant(name, scope))).rowcount == 0:
            raise BadInput(f"{name} has no grant for this scope", where="grants", todo="see `endcap users`")
        if not _grants(connection, name):  # without any, the user's own role would hold everywhere
            connection.execute(update(USERS).where(USERS.c.name == name).values(role="viewer"))
        sealed = dict.fromkeys(gone) | _sealed_user(connection, name)
        audit.record(connection, actor, "withdraw", name, {"supplier": scope.supplier, "category": scope.category, "access": sealed})


def users(engine: Engine) -> list[User]:
    """Everybody who may sign in, by name."""
    with engine.connect() as connection:
        rows = connection.execute(select(USERS).order_by(USERS.c.name)).mappings().all()
        return [User(row["name"], row["role"], row["team"], row["locked"], _grants(connection, row["name"])) for row in rows]


@dataclass(frozen=True, slots=True)
class Token:
    """A program's pass that holds."""

    token_id: str
    name: str
    role: str
    owner: str | None
    until: float  # seconds since 1970


def tokens(engine: Engine) -> list[Token]:
    """The tokens that hold now, by name."""
    holding = select(PASSES).where(PASSES.c.kind == "token", ~PASSES.c.ended, PASSES.c.until > time.time()).order_by(PASSES.c.name, PASSES.c.pass_id)
    with engine.connect() as connection:
        return [Token(row["pass_id"], row["name"], row["role"], row["owner"], row["until"]) for row in connection.execute(holding).mappings()]


def team_of(connection: Connection, name: str) -> str | None:
    """The team of a user, or of the user to whom a program's token belongs; None where that is nobody's."""
    owner = select(PASSES.c.owner).where(PASSES.c.name == name, PASSES.c.owner.is_not(None)).order_by(PASSES.c.made.desc()).limit(1)
    for user in (name, connection.execute(owner).scalar()):
        team = connection.execute(select(USERS.c.team).where(USERS.c.name == user)).scalar() if user is not None else None
        if team:
            return str(team)
    return None


def owner_of(connection: Connection, name: str) -> str:
    """The user behind a program's name; any other name is its own."""
    return connection.execute(select(PASSES.c.owner).where(PASSES.c.name == name, PASSES.c.owner.is_not(None)).limit(1)).scalar() or name


def names_of(connection: Connection, actor: str) -> set[str]:
    """The actor's own name, that of the user behind it, and those of every program of that user."""
    owner = owner_of(connection, actor)
    return {actor, owner, *connection.execute(select(PASSES.c.name).where(PASSES.c.owner == owner)).scalars()}


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
        return _make(connection, "session", name, user["role"], SESSION_S, actor=name, owner=name)


def sign_in_outside(engine: Engine, name: str, role: str, *, subject: str, team: str) -> str:
    """A new session's secret for one whom an OpenID provider vouches for; the user is made, or takes the role that the provider now says.

    `subject` is the provider's own id: a name stays its. Raises BadInput for a name that has a password, is locked, or is another's, were it but for its
    case and the spaces around it.
    """
    _check_role(role)
    _check_names(name, team)
    with writing(engine) as connection:
        known = connection.execute(select(USERS).where(USERS.c.name == name)).mappings().first()
        alike = _alike(connection, name) if known is None else None
        if alike or (known is not None and (known["password"] is not None or known["locked"] or known["subject"] not in (None, subject))):
            audit.record(connection, "unknown", "refused", name, {"by": "provider"})
            refused = True
        else:
            refused = False
            row = {"role": role, "subject": subject}
            if known is None:
                connection.execute(insert(USERS).values(row | {"name": name, "team": team, "password": None, "made_at": now(), "locked": False}))
            else:
                connection.execute(update(USERS).where(USERS.c.name == name).values(row))
            audit.record(connection, name, "user", name, {"role": role, "by": "provider", "access": _sealed_user(connection, name)})
            secret = _make(connection, "session", name, role, SESSION_S, actor=name, owner=name)
    if refused:
        other = repr(alike) if alike else "another user"
        raise BadInput(f"{name} does not sign in by the provider", where="users", todo=f"see `endcap users`; {other} may have this name")
    return secret


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
        _end(connection, found.pass_id, actor=found.name)
        return _make(connection, "session", found.name, found.role, SESSION_S, actor=found.name)


def make_token(
    engine: Engine, name: str, role: str, *, days: float, actor: str, owner: str | None = None, supplier: str = EVERYTHING, category: str = EVERYTHING
) -> str:
    """A program's token for `days` days, shown this once; it reaches as far as its owner, where it has one, and at most the supplier and category.

    What is done is told by the program's name, so that it is nobody else's: neither another user's nor that of another owner's program. Raises BadInput
    where it is, or is no name, on an unknown role, no days, or an owner who is locked out or unknown.
    """
    _check_role(role)
    if not name.strip() or len(name) > 120 or not name.isprintable():
        raise BadInput(f"{name!r} names no program", where="tokens", todo="use letters on one line, at most 120")
    check_person(name, where="tokens", todo="give the program another name")
    if not 0 < days <= 366:
        raise BadInput(f"a token cannot hold {days:g} days", where="tokens", todo="give 1 to 366")
    with writing(engine) as connection:
        if owner is not None:
            _check_user(connection, owner)
            if connection.execute(select(USERS.c.locked).where(USERS.c.name == owner)).scalar():
                todo = f"let them in again first: `endcap user {owner} --unlock`"
                raise BadInput(f"{owner} is locked out, and a program of theirs would be as well", where="tokens", todo=todo)
        _check_free(connection, name, owner)
        return _make(connection, "token", name, role, days * DAY_S, actor=actor, owner=owner, supplier=supplier, category=category)


def _check_free(connection: Connection, name: str, owner: str | None) -> None:
    """Raise BadInput where somebody else is known by a program's name."""
    users = set(connection.execute(select(USERS.c.name).where(USERS.c.name == name)).scalars())
    owners = set(connection.execute(select(PASSES.c.owner).where(PASSES.c.name == name)).scalars())
    others = sorted(str(one or "nobody's") for one in (users | owners) - {owner})
    if others:
        raise BadInput(f"{name!r} is known already, as {others[0]}", where="tokens", todo="name the program otherwise: what it does is told by its name")


def end(engine: Engine, pass_id: str, *, actor: str) -> bool:
    """End a pass at once; False where there is none of that name."""
    with writing(engine) as connection:
        return _end(connection, pass_id, actor=actor)


def _end(connection: Connection, pass_id: str, *, actor: str) -> bool:
    found = connection.execute(update(PASSES).where(PASSES.c.pass_id == pass_id, ~PASSES.c.ended).values(ended=True)).rowcount == 1
    if found:
        audit.record(connection, actor, "end pass", pass_id, {"access": audit.seals_of(connection, PASSES, PASSES.c.pass_id == pass_id)})
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
        select(PASSES).where(PASSES.c.secret == _hash(secret), PASSES.c.kind == kind, ~PASSES.c.ended, PASSES.c.until > time.time())
    ).mappings().first()  # fmt: skip
    if found is None:
        return None
    held = _scopes_of(connection, found)
    if held is None:
        return None
    role = ROLES[-1] if kind == "session" and found["owner"] is not None else found["role"]  # a session may what its user may by now
    scopes = narrowed(held, Scope(role, found["supplier"] or EVERYTHING, found["category"] or EVERYTHING))
    highest = max((one.role for one in scopes), key=ROLES.index, default="viewer")
    return Person(found["name"], highest, found["pass_id"], None if scopes == (Scope(highest),) else scopes)


def _scopes_of(connection: Connection, found: RowMapping) -> tuple[Scope, ...] | None:
    """What the pass's owner may do now, where, and None where that one is locked; of a pass that is nobody's its own role, everywhere."""
    if found["owner"] is None:
        return (Scope(found["role"]),)
    user = connection.execute(select(USERS.c.role, USERS.c.locked).where(USERS.c.name == found["owner"])).first()
    if user is None or user.locked:
        return None
    return _grants(connection, found["owner"]) or (Scope(user.role),)


def _grants(connection: Connection, name: str) -> tuple[Scope, ...]:
    rows = connection.execute(select(GRANTS.c.role, GRANTS.c.supplier, GRANTS.c.category).where(GRANTS.c.name == name))
    return tuple(sorted(Scope(*row) for row in rows))


def _this_grant(name: str, scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return GRANTS.c.name == name, GRANTS.c.supplier == scope.supplier, GRANTS.c.category == scope.category


def _make(
    connection: Connection, kind: str, name: str, role: str, seconds: float, *, actor: str, owner: str | None = None, supplier: str = EVERYTHING,
    category: str = EVERYTHING,
) -> str:  # fmt: skip
    secret, pass_id, made = secrets.token_urlsafe(32), secrets.token_hex(8), time.time()
    row = {"secret": _hash(secret), "pass_id": pass_id, "kind": kind, "name": name, "role": role, "made": made, "until": made + seconds, "ended": False}
    within = {"owner": owner, "supplier": supplier, "category": category}
    connection.execute(insert(PASSES).values(row | within))
    sealed = audit.seals_of(connection, PASSES, PASSES.c.pass_id == pass_id)
    told = {"pass": pass_id, "role": role, "access": sealed} | {name: value for name, value in within.items() if value}
    audit.record(connection, actor, f"make {kind}", name, told)
    return secret


def _sealed_user(connection: Connection, name: str) -> dict[str, str | None]:
    return audit.seals_of(connection, USERS, USERS.c.name == name)


def _check_names(name: str, team: str) -> None:
    for what, given in (("user's", name), ("team's", team)):
        if (what == "user's" and not given.strip()) or len(given) > 120 or not given.isprintable():
            raise BadInput(f"{given[:130]!r} is no {what} name", where="users", todo="use 1 to 120 printable characters")
    check_person(name, where="users", todo="give the user another name")


def _alike(connection: Connection, name: str) -> str | None:
    """A user whom people would take for a new one of this name: it is that of the same person, only written otherwise."""
    known = sorted(connection.execute(select(USERS.c.name)).scalars())
    return next((one for one in known if person(one) == person(name)), None)


def _check_user(connection: Connection, name: str) -> None:
    if connection.execute(select(USERS.c.name).where(USERS.c.name == name)).first() is None:
        raise BadInput(f"there is no user {name!r}", where="users", todo="make one with `endcap user`; `endcap users` lists them")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise BadInput(f"there is no role {role!r}", where="users", todo=f"use {', '.join(ROLES)}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
