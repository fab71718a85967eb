"""The operational tables, the same on SQLite and Postgres. Each has one writer, named in its `info`.

A change here needs a new step in `migrations/versions`, and HEAD to name it; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

# The newest step of the migrations.
HEAD = "011"

METADATA = MetaData()


def _table(name: str, writer: str, *columns: Column[object], private: bool = False) -> Table:
    """A table; a `private` one holds secrets or sessions, and no query of the catalog's readers sees it."""
    return Table(name, METADATA, *columns, info={"writer": writer, "private": private})


# One attempt of one run; a run that died keeps its row in state 'died'.
RUNS = _table(
    "runs", "journey",
    Column("attempt_id", Integer, primary_key=True, autoincrement=True),
    Column("run", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # running | done | failed | died
    Column("snapshot_id", String(64)),
    Column("started_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Column("deliveries_json", Text, nullable=False),
    Column("figures_json", Text, nullable=False),
    Column("error", Text),
)  # fmt: skip

# One published version of the catalog; exactly one is current.
SNAPSHOTS = _table(
    "snapshots", "ops",
    Column("snapshot_id", String(64), primary_key=True),
    Column("parent", String(64)),
    Column("run", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("manifest_json", Text, nullable=False),
    Column("published_json", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("current", Boolean, nullable=False),
)  # fmt: skip

# Append-only: an undo is one more row that names what it undoes.
OVERRIDES = _table(
    "overrides", "review",
    Column("override_id", Integer, primary_key=True, autoincrement=True),
    Column("offer_id", String(400), nullable=False),
    Column("action", String(16), nullable=False),  # same | different | other | new | skip | escalate | undo; of a product's field: set | lock
    Column("product_id", String(64)),  # what was asked about (different) or chosen (same, other)
    Column("counterpart_offer_id", String(400)),
    Column("actor", String(120), nullable=False),
    Column("team", String(120), nullable=False),
    Column("reason_code", String(40), nullable=False),
    Column("note", Text, nullable=False),
    Column("undoes", Integer),
    Column("identity_hash", BigInteger, nullable=False),  # the offer's when the person answered
    Column("snapshot_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("group_id", String(64)),  # answers given as one, undone as one
    Column("evidence", String(16)),  # hash of what the person was shown
    Column("model", String(64)),  # the model whose evidence was shown
    Column("seconds", Float),  # from shown to answered
    Column("key", String(64)),  # the client's own: the same answer sent twice is stored once
    Column("field", String(80)),  # of a product, where the answer is about one of its values; offer_id is then its founder
    Column("value", Text),  # what a person says instead
    Column("said", Text),  # what the suppliers said of it then; while they say so, nobody is asked again
    Column("role", String(16)),  # the person's then: a lead's word is not taken back by a reviewer's
    Column("until", String(16)),  # the last delivery date for which it holds
)  # fmt: skip
Index("overrides_key", OVERRIDES.c.key, unique=True)
Index("overrides_of_actor", OVERRIDES.c.actor, OVERRIDES.c.at)

# Who put which model into production, when, why and on what data; append-only.
PROMOTIONS = _table(
    "promotions", "learn",
    Column("promotion_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),  # of artefact: match | infer | policy | mapping | taxonomy
    Column("model_id", String(64), nullable=False),  # the artefact's hash: a folder of text files under models/
    Column("previous", String(64)),
    Column("action", String(16), nullable=False),  # promote | rollback | shadow | canary | stop (a shadow or canary)
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data_version", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("proposal_id", Integer),  # none: endcap's own first model, or one from before there were proposals
    Column("scope", String(400)),  # of a canary, as switches name it
)  # fmt: skip

# A held delivery that a person let through.
RELEASES = _table(
    "releases", "feeds",
    Column("feed", String(120), primary_key=True),
    Column("date", String(16), primary_key=True),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("sha256", String(64)),  # of the file that may pass, and no other; none of releases from before this was noted
)  # fmt: skip

# Which team owns which scope, since when.
TEAMS = _table(
    "teams", "govern",
    Column("team", String(120), primary_key=True),
    Column("scope", String(400), primary_key=True),  # category or supplier; '*' is everything
    Column("since", String(32), primary_key=True),
)  # fmt: skip

# One reported problem from open to verified; what happened to it and when is in its columns, who did it in the audit.
LOOPS = _table(
    "loops", "govern",
    Column("loop_id", Integer, primary_key=True, autoincrement=True),
    Column("title", Text, nullable=False),
    Column("source", String(40), nullable=False),  # page | command | api | escalation | canary_query | alarm
    Column("offer_id", String(400)),
    Column("counterpart_offer_id", String(400)),  # the other side of a pair that was decided wrongly
    Column("product_id", String(64)),
    Column("expected", String(16)),  # same | different: what is right of the pair; none where the problem is another one
    Column("field", String(80)),  # of a product, where a value is wrong
    Column("value", Text),  # what it should be
    Column("reporter", String(120), nullable=False),
    Column("owner", String(120), nullable=False),
    Column("duplicate_of", Integer),  # the oldest report of the same case
    Column("override_id", Integer),  # the answer that mends the case meanwhile
    Column("opened_at", String(32), nullable=False),
    Column("acknowledged_at", String(32)),
    Column("decided_at", String(32)),
    Column("released_at", String(32)),
    Column("in_snapshot_at", String(32)),
    Column("verified_at", String(32)),
    Column("closed_at", String(32)),
    Column("reopened", Integer, nullable=False),  # times
    Column("cause", String(40)),
    Column("comment", Text),
    Column("replay_json", Text),  # the last replay under the champion without its override, with its siblings
)  # fmt: skip

# A hypothesis with its change, expected effect, verdict and decision; the same as its file under proposals/.
PROPOSALS = _table(
    "proposals", "govern",
    Column("proposal_id", Integer, primary_key=True, autoincrement=True),
    # draft | proposed | accepted | validated | shadow | canary | promoted | confirmed | failed (the promise was not kept) | rolled_back | rejected |
    # withdrawn | superseded
    Column("state", String(20), nullable=False),
    Column("kind", String(20), nullable=False),  # model | threshold | rule | mapping | taxonomy | policy | dictionary
    Column("owner", String(120), nullable=False),
    Column("approver", String(120)),
    Column("automatic", Boolean, nullable=False),  # written by endcap itself
    Column("hypothesis", Text, nullable=False),
    Column("scope", String(400), nullable=False),
    Column("change", Text, nullable=False),  # in words
    Column("artefact_kind", String(40)),
    Column("artefact", String(64)),  # the hash of what would be promoted
    Column("metric", String(80), nullable=False),
    Column("effect", String(120), nullable=False),  # the smallest effect worth having, in words
    Column("details_json", Text, nullable=False),  # evidence, smallest_effect, guard_rails, plan (n required), rollback_trigger
    Column("trial_id", String(80)),
    Column("verdict", String(20)),  # INVALID | ROLLBACK | SHIP | HOLD
    Column("text", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("decided_at", String(32)),
    Column("promoted_at", String(32)),
    Column("confirm_on", String(16)),  # the day on which promise and outcome are compared
)  # fmt: skip

# Every step of a proposal; append-only, and sealed in the audit.
PROPOSAL_EVENTS = _table(
    "proposal_events", "govern",
    Column("event_id", Integer, primary_key=True, autoincrement=True),
    Column("proposal_id", Integer, nullable=False),
    Column("state", String(20), nullable=False),  # that it has from here on
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("details_json", Text, nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# What is learned from a failure: opened by itself at a rollback or a broken glass, closed by a person.
POSTMORTEMS = _table(
    "postmortems", "govern",
    Column("postmortem_id", Integer, primary_key=True, autoincrement=True),
    Column("proposal_id", Integer),
    Column("promotion_id", Integer),
    Column("title", Text, nullable=False),
    Column("cause", String(40), nullable=False),  # rollback | guard_rail | break_glass | promise_not_kept
    Column("owner", String(120), nullable=False),
    Column("text", Text, nullable=False),
    Column("details_json", Text, nullable=False),  # timeline, affected offers, diff, seconds until it was noticed
    Column("opened_at", String(32), nullable=False),
    Column("due_on", String(16), nullable=False),
    Column("closed_at", String(32)),
)  # fmt: skip

# Where the machine may not decide by itself; append-only, the newest row of a scope holds.
SWITCHES = _table(
    "switches", "govern",
    Column("switch_id", Integer, primary_key=True, autoincrement=True),
    Column("scope", String(400), nullable=False),  # '*', 'feed:NAME', 'supplier:NAME' or 'category:PATH'
    Column("automation", Boolean, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# A drift that was noticed, with its likely cause; it changes nothing by itself.
ALARMS = _table(
    "alarms", "learn",
    Column("alarm_id", Integer, primary_key=True, autoincrement=True),
    Column("run", Integer, nullable=False),
    Column("name", String(80), nullable=False),
    Column("scope", String(400), nullable=False),
    Column("cause", String(40), nullable=False),
    Column("words", Text, nullable=False),
    Column("figures_json", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("closed_at", String(32)),
)  # fmt: skip

# Whose answers teach nothing for now, and whose do again; append-only, the newest row of a person holds. Their answers stay in force.
REVIEWER_HOLDS = _table(
    "reviewer_holds", "learn",
    Column("hold_id", Integer, primary_key=True, autoincrement=True),
    Column("person", String(120), nullable=False),
    Column("held", Boolean, nullable=False),
    Column("actor", String(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
)  # fmt: skip

# What a person was asked blind: about a link the machine is sure of (audit), or about another person's answer (second, batch).
BLIND_ASKS = _table(
    "blind_asks", "review",
    Column("ask_id", Integer, primary_key=True, autoincrement=True),
    Column("offer_id", String(400), nullable=False),
    Column("asked_of", String(120), nullable=False),
    Column("purpose", String(16), nullable=False),  # audit | second | batch
    Column("override_id", Integer),  # the answer that is checked
    Column("product_id", String(64)),  # shown first
    Column("counterpart_offer_id", String(400)),
    Column("asked_at", String(32), nullable=False),
    Column("action", String(16)),  # of the answer, none while it is open
    Column("chosen", String(64)),  # product
    Column("agrees", Boolean),  # with the answer that is checked
    Column("answered_at", String(32)),
    Column("after_override", Integer),  # the last override then, so that an undo knows what came last
    Column("key", String(64), unique=True),
    Column("stratum", String(160)),  # of an audit: from which part of the machine's decisions it was drawn
    Column("probability", Float),  # of an audit: how likely its decision was to be drawn
    Column("run", Integer),  # of an audit: whose decision is judged
    Column("decided", String(16)),  # of an audit: linked | new_product
    Column("confidence", Float),  # of an audit: what the machine believed of its decision
)  # fmt: skip

# Which waiting offer somebody is looking at; a lease hides an item from others and blocks nobody.
LEASES = _table(
    "leases", "review",
    Column("offer_id", String(400), primary_key=True),
    Column("holder", String(160), nullable=False),
    Column("until", Float, nullable=False),  # seconds since 1970
)  # fmt: skip

# People who may sign in.
USERS = _table(
    "users", "ops",
    Column("name", String(120), primary_key=True),
    Column("role", String(16), nullable=False),  # viewer | reviewer | lead | admin
    Column("team", String(120), nullable=False),
    Column("password", String(200)),  # Argon2 hash; none: signs in by a printed link only
    Column("made_at", String(32), nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("subject", String(2000)),  # issuer and id of one whom an OpenID provider vouches for
    private=True,
)  # fmt: skip

# What a user may do where; one who has none has the role of USERS everywhere.
GRANTS = _table(
    "grants", "ops",
    Column("name", String(120), primary_key=True),  # of the user
    Column("supplier", String(120), primary_key=True),  # '*' is every supplier
    Column("category", String(400), primary_key=True),  # with all below it; '*' is every category
    Column("role", String(16), nullable=False),  # reviewer | lead | admin
    Column("made_at", String(32), nullable=False),
    private=True,
)  # fmt: skip

# What proves who is asking: a browser's session, a program's token, or a link that works once. Only hashes are kept.
PASSES = _table(
    "passes", "ops",
    Column("secret", String(64), primary_key=True),  # SHA-256 of the secret
    Column("pass_id", String(24), nullable=False, unique=True),  # its public name, to revoke it by
    Column("kind", String(16), nullable=False),  # session | token | link
    Column("name", String(120), nullable=False),  # of the user
    Column("role", String(16), nullable=False),  # at most what the user may
    Column("made", Float, nullable=False),  # seconds since 1970
    Column("until", Float, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("owner", String(120)),  # the user whose scopes and team hold for it, as they are when it is used; none: it may do its role everywhere
    Column("supplier", String(120)),  # at most of this supplier
    Column("category", String(400)),  # at most in this category
    private=True,
)  # fmt: skip

# What was done by whom; append-only, each row sealed by the one before.
AUDIT = _table(
    "audit", "ops",
    Column("audit_id", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("actor", String(120), nullable=False),
    Column("verb", String(40), nullable=False),
    Column("object", String(400), nullable=False),
    Column("details_json", Text, nullable=False),
    Column("seal", String(64), nullable=False),  # SHA-256 of the row and the seal before it
)  # fmt: skip

# What is to be told to whom: written with the fact it tells of, in one transaction, and sent afterwards.
WEBHOOK_DELIVERIES = _table(
    "webhook_deliveries", "ops",
    Column("delivery_id", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(40), nullable=False),  # the same for every receiver and every try: what a receiver knows already it may leave
    Column("event", String(40), nullable=False),  # run.done | run.failed | delivery.held | override.stored
    Column("url", String(2000), nullable=False),  # the receiver's
    Column("body", Text, nullable=False),  # JSON, sent as it stands here
    Column("state", String(16), nullable=False),  # waiting | sent | given_up
    Column("attempts", Integer, nullable=False),
    Column("next_try", Float, nullable=False),  # seconds since 1970
    Column("status", Integer),  # HTTP status of the last answer
    Column("said", Text),  # why the last try failed
    Column("made_at", String(32), nullable=False),
    Column("sent_at", String(32)),
    private=True,
)  # fmt: skip
Index("webhook_deliveries_due", WEBHOOK_DELIVERIES.c.state, WEBHOOK_DELIVERIES.c.next_try)
