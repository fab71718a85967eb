"""What people said since a snapshot, held in memory and brought up to date by the rows that came since: answers are only ever appended.

What was left to a lead before it is held beside, until somebody answers it: no run does.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES

# Of one catalog: the current snapshot, and the one before while its last requests are under way.
MOST_KEPT = 4
LEFT, NO_ANSWERS = "escalate", ("skip", "escalate", "undo")


@dataclass(frozen=True, slots=True)
class Said:
    """One standing answer."""

    override_id: int
    offer_id: str
    action: str
    product_id: str | None
    counterpart_offer_id: str | None
    actor: str
    reason_code: str
    note: str
    group_id: str | None
    field: str | None
    key: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Answers that nobody took back, in the order in which they were given; another object once there is another one."""

    answers: tuple[Said, ...] = ()
    left: tuple[Said, ...] = ()  # to a lead, before


@dataclass
class _Log:
    last: int  # the newest override that is in here
    left: dict[int, Said] | None = None
    standing: dict[int, Said] = field(default_factory=dict)
    shown: Standing = field(default_factory=Standing)
    mark: object = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_LOGS: WeakKeyDictionary[Engine, dict[int, _Log]] = WeakKeyDictionary()
_OPENING = threading.Lock()
_COLUMNS = [OVERRIDES.c[name] for name in Said.__slots__]


def said_since(home: Home, taken_in: int) -> Standing:
    """Every answer after override `taken_in` that stands now."""
    log = _log_of(home.engine, taken_in)
    with log.lock:
        mark = home.changes(at_once=True)  # asked before reading: what comes in between is read twice rather than never
        if mark is None or mark != log.mark:
            _bring_up(log, home.engine)
            log.mark = mark
        return log.shown


def _log_of(engine: Engine, taken_in: int) -> _Log:
    with _OPENING:
        logs = _LOGS.setdefault(engine, {})
        log = logs.pop(taken_in, None) or _Log(taken_in)
        logs[taken_in] = log
        for oldest in list(logs)[:-MOST_KEPT]:
            del logs[oldest]
        return log


def _bring_up(log: _Log, engine: Engine) -> None:
    """Add what came since; rows become visible in the order of their ids (see ops/database.py)."""
    came = select(*_COLUMNS, OVERRIDES.c.undoes).where(OVERRIDES.c.override_id > log.last).order_by(OVERRIDES.c.override_id)
    fresh = log.left is None
    with engine.connect() as connection:
        left = log.left = _left_by(connection, log.last) if log.left is None else log.left
        rows = connection.execute(came).all()
    for row in rows:
        if row.undoes is None:
            log.standing[row.override_id] = Said(*row[:-1])
        else:
            log.standing.pop(row.undoes, None)
            left.pop(row.undoes, None)
        log.last = row.override_id
    if rows or fresh:
        log.shown = Standing(tuple(log.standing.values()), tuple(left.values()))


def _left_by(connection: Connection, taken_in: int) -> dict[int, Said]:
    """What was left to a lead up to an override and had no answer after it up to there, by override."""
    later = OVERRIDES.alias()
    undone = select(later.c.undoes).where(later.c.undoes.is_not(None))
    after = (later.c.offer_id == OVERRIDES.c.offer_id, later.c.override_id > OVERRIDES.c.override_id, later.c.override_id <= taken_in)
    answers = (
        later.c.field.is_(None),
        later.c.action.not_in(NO_ANSWERS),
        later.c.override_id.not_in(select(OVERRIDES.c.undoes).where(OVERRIDES.c.undoes.is_not(None))),
    )
    answered = select(later.c.override_id).where(*after, *answers)
    left = select(*_COLUMNS).where(OVERRIDES.c.action == LEFT, OVERRIDES.c.override_id <= taken_in, OVERRIDES.c.override_id.not_in(undone), ~answered.exists())
    return {row.override_id: Said(*row) for row in connection.execute(left.order_by(OVERRIDES.c.override_id))}
