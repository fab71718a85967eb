"""Webhooks: what happened is written to an outbox with the fact itself, and told to each receiver until it has heard it.

At least once, with the same event id and body at every try; after an answer of 2xx never again. Events may arrive in another order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from endcap.ops.database import days_ago, now, writing
from endcap.ops.fetching import Fetcher
from endcap.ops.home import Home
from endcap.ops.tables import WEBHOOK_DELIVERIES
from endcap.problems import BadInput, Problem
from endcap.settings import Catalog, Event, Webhook

SIGNATURE, EVENT, EVENT_ID = "X-Endcap-Signature", "X-Endcap-Event", "X-Endcap-Event-Id"
# Seconds from one failed try to the next; after the last one the delivery is given up, about 21 hours after the event.
BACKOFF_S = (30, 120, 600, 1800, 7200, 21_600, 43_200)
MOST_ATTEMPTS = len(BACKOFF_S) + 1
# One try takes at most so long; who claims a delivery and dies leaves it to others after the claim has passed.
TRY_S, CLAIM_S = 5.0, 60.0
KEPT_DAYS = 30
SHORTEST_SECRET = 16

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Tried:
    """One try: `state` is what the delivery is now, `said` why the try failed."""

    delivery_id: int
    event_id: str
    event: str
    url: str
    state: str
    attempts: int
    said: str | None


@dataclass(slots=True)
class Sending:
    """What a round of sending did, and in one sentence each what a person must mend."""

    tried: list[Tried] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


# --- what is to be told ---------------------------------------------------------------------------------------------


def note(connection: Connection, catalog: Catalog, event: Event, data: Mapping[str, Any]) -> None:
    """Put an event into the outbox for everybody who is told of it, within the transaction that stores what it tells of."""
    hooks = [hook for hook in catalog.webhooks if event in hook.events]
    if not hooks:
        return
    event_id, moment = f"evt_{secrets.token_hex(12)}", now()
    body = json.dumps({"id": event_id, "event": event, "catalog": catalog.name, "at": moment, "data": dict(data)}, ensure_ascii=False, sort_keys=True)
    shared = {"event_id": event_id, "event": event, "body": body, "state": "waiting", "attempts": 0, "next_try": time.time(), "made_at": moment}
    connection.execute(insert(WEBHOOK_DELIVERIES), [{**shared, "url": hook.url} for hook in hooks])


def forget_old(connection: Connection) -> None:
    """Let go of what was noted long ago, sent or not."""
    connection.execute(delete(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.made_at < days_ago(KEPT_DAYS)))


def listed(home: Home, *, limit: int = 100) -> list[dict[str, Any]]:
    """The outbox, the newest first, without the bodies; `named` says whether the settings still name the receiver."""
    columns = [column for column in WEBHOOK_DELIVERIES.c if column.name != "body"]
    urls = {hook.url for hook in home.catalog.webhooks}
    with home.engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(WEBHOOK_DELIVERIES.c.delivery_id.desc()).limit(limit)).mappings()
        return [{**row, "named": row["url"] in urls} for row in rows]


def counts(home: Home) -> dict[str, int]:
    """How many deliveries are in which state."""
    with home.engine.connect() as connection:
        found = connection.execute(select(WEBHOOK_DELIVERIES.c.state, func.count()).group_by(WEBHOOK_DELIVERIES.c.state))
        return {"waiting": 0, "sent": 0, "given_up": 0} | {str(state): int(count) for state, count in found}


def try_again(home: Home) -> int:
    """Let what was given up be tried from the beginning; returns how many."""
    given_up = WEBHOOK_DELIVERIES.c.state == "given_up"
    with writing(home.engine) as connection:
        return int(connection.execute(update(WEBHOOK_DELIVERIES).where(given_up).values(state="waiting", attempts=0, next_try=time.time())).rowcount)


# --- telling it -----------------------------------------------------------------------------------------------------


def secret_of(hook: Webhook) -> bytes:
    """The secret from the environment. Raises BadInput where it is not there, or too short to keep anybody out."""
    found = os.environ.get(hook.secret_env, "")
    if len(found) < SHORTEST_SECRET:
        what = "is not set" if not found else f"is shorter than {SHORTEST_SECRET} characters"
        todo = f"set {hook.secret_env} for `endcap serve`, `endcap run` and `endcap webhooks send`, to a secret that the receiver knows too"
        raise BadInput(f"the environment variable {hook.secret_env} with the secret of the webhook {hook.url} {what}", where="webhooks", todo=todo)
    return found.encode()


def signature(secret: bytes, body: bytes, moment: int) -> str:
    """`t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "t.body">`."""
    return f"t={moment},v1={hmac.new(secret, f'{moment}.'.encode() + body, hashlib.sha256).hexdigest()}"


def fetcher_of(catalog: Catalog) -> Fetcher:
    """Asks receivers only where the settings allow it."""
    return Fetcher([one for one in catalog.allow_outgoing if one.purpose == "webhooks"], seconds=TRY_S)


def send_due(
    home: Home, *, fetcher: Fetcher | None = None, limit: int = 1000, seconds: float = 600.0, stopped: Callable[[], bool] = lambda: False,
    clock: Clock = time.time,
) -> Sending:  # fmt: skip
    """Send what is due, one after another, at most `limit` tries and about `seconds`; `stopped` is asked before each.

    A receiver whose secret is missing is left waiting, and its sentence is among the problems; its tries are not counted.
    """
    sending = Sending()
    known: dict[str, tuple[Webhook, bytes]] = {}
    if not home.catalog.webhooks or not _any_due(home, clock()):
        return sending
    for hook in home.catalog.webhooks:
        try:
            known[hook.url] = (hook, secret_of(hook))
        except BadInput as problem:
            sending.problems.append(problem.sentence())
    fetcher, until = fetcher or fetcher_of(home.catalog), time.monotonic() + seconds
    while len(sending.tried) < limit and time.monotonic() < until and not stopped():
        row = _claim(home.engine, list(known), clock())
        if row is None:
            break
        status, said = _tell(fetcher, row, known[row["url"]][1], clock())
        sending.tried.append(_record(home.engine, row, status, said, clock()))
    return sending


def _any_due(home: Home, moment: float) -> bool:
    urls = [hook.url for hook in home.catalog.webhooks]
    with home.engine.connect() as connection:
        return connection.execute(select(WEBHOOK_DELIVERIES.c.delivery_id).where(*_due(urls, moment)).limit(1)).first() is not None


def _due(urls: Sequence[str], moment: float) -> tuple[Any, ...]:
    table = WEBHOOK_DELIVERIES.c
    return table.state == "waiting", table.next_try <= moment, table.url.in_(urls)


def _claim(engine: Engine, urls: Sequence[str], moment: float) -> dict[str, Any] | None:
    """The delivery that is due longest, counted as tried and kept from other senders for a while."""
    oldest = select(WEBHOOK_DELIVERIES).where(*_due(urls, moment)).order_by(WEBHOOK_DELIVERIES.c.next_try, WEBHOOK_DELIVERIES.c.delivery_id).limit(1)
    with writing(engine) as connection:
        found = connection.execute(oldest).mappings().first()
        if found is None:
            return None
        claimed = {"attempts": found["attempts"] + 1, "next_try": moment + CLAIM_S}
        connection.execute(update(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.delivery_id == found["delivery_id"]).values(claimed))
        return {**found, **claimed}


def _tell(fetcher: Fetcher, row: Mapping[str, Any], secret: bytes, moment: float) -> tuple[int | None, str | None]:
    """(status, why it failed); no reason is success."""
    body = row["body"].encode()
    headers = {
        "Content-Type": "application/json", SIGNATURE: signature(secret, body, int(moment)), EVENT: row["event"], EVENT_ID: row["event_id"],
    }  # fmt: skip
    try:
        answer = fetcher.post(row["url"], body, headers)
    except Problem as problem:
        return None, problem.what
    if 200 <= answer.status < 300:
        return answer.status, None
    led_on = 300 <= answer.status < 400
    return answer.status, f"the receiver answered {answer.status}" + ("; redirects are not followed, name the address it leads to" if led_on else "")


def _record(engine: Engine, row: Mapping[str, Any], status: int | None, said: str | None, moment: float) -> Tried:
    state = "sent" if said is None else "given_up" if row["attempts"] >= MOST_ATTEMPTS else "waiting"
    values: dict[str, Any] = {"state": state, "status": status, "said": said, "sent_at": now() if said is None else None}
    if state == "waiting":
        values["next_try"] = moment + BACKOFF_S[row["attempts"] - 1]
    mine = (WEBHOOK_DELIVERIES.c.delivery_id == row["delivery_id"], WEBHOOK_DELIVERIES.c.state == "waiting")
    with writing(engine) as connection:
        connection.execute(update(WEBHOOK_DELIVERIES).where(*mine).values(values))
    return Tried(row["delivery_id"], row["event_id"], row["event"], row["url"], state, row["attempts"], said)
