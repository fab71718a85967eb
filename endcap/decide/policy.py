"""What the machine may do with a pair on its own: link, ask a person, or leave the two apart; each with words."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from endcap.settings import Policy

LINK, ASK, APART = "link", "ask", "apart"


@dataclass(frozen=True, slots=True)
class Edge:
    """A scored pair of live offers with what the policy looks at; prices are comparable only in one currency."""

    left_id: str
    right_id: str
    score: float
    conflict: str | None
    same_gtin: bool
    price_ratio: float | None

    def other(self, offer_id: str) -> str:
        return self.right_id if offer_id == self.left_id else self.left_id


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be done with an edge, and why."""

    does: str
    code: str
    words: str


def judge(edge: Edge, policy: Policy, accept: float | None = None, unpromised: str | None = None) -> Verdict:
    """A GTIN is evidence, not proof: shared by unlike offers it is a question; a stated contradiction forbids a link by machine.

    `accept` is the likeness from which a link is made, the policy's own when left out; `unpromised` says why none is, however alike.
    """
    accept = policy.accept if accept is None else accept
    if edge.conflict and not edge.same_gtin:
        return Verdict(APART, "conflict", edge.conflict)
    if edge.conflict:
        return Verdict(ASK, "gtin_conflict", f"same GTIN, but {edge.conflict}")
    if edge.score < accept:
        if edge.same_gtin:
            return Verdict(ASK, "gtin_unlike", f"same GTIN, but the rest agrees only to {shown(edge.score)}")
        if edge.score < policy.review:
            return Verdict(APART, "unlike", f"likeness {shown(edge.score)}")
        if unpromised and edge.score >= policy.accept:
            return Verdict(ASK, "no_promise", f"likeness {shown(edge.score)}, but {unpromised}")
        least = min(accept, policy.accept) if unpromised else accept
        return Verdict(ASK, "doubtful", f"likeness {shown(edge.score, below=least)}, below {least:.2f}")
    if edge.price_ratio is not None and edge.price_ratio > policy.max_price_ratio:
        return Verdict(ASK, "price", f"likeness {shown(edge.score)}, but the price is {edge.price_ratio:.1f} times the other")
    because = "same GTIN and " if edge.same_gtin else ""
    return Verdict(LINK, "alike", f"{because}likeness {shown(edge.score)}")


def shown(score: float, *, below: float = 1.0) -> str:
    """A probability in words: two digits, and never a certainty; rounded down where rounding would hide that it lies `below` another."""
    if score < below <= round(score, 2):
        return f"{math.floor(100 * score) / 100:.2f}"
    return "above 0.99" if score >= 0.995 else "below 0.01" if score < 0.005 else f"{score:.2f}"


def in_words(policy: Policy) -> str:
    """From where on the machine links and asks under a policy."""
    promise, parts = policy.promise, len(policy.scopes)
    links = f"links from likeness {policy.accept:g} on" if promise is None else f"links what audits prove to be {100 * promise.precision:g} % right"
    own = "promises of their own for parts" if parts > 1 else "a promise of its own for a part"
    return f"{links}, asks from {policy.review:g} on" + (f", and has {own} of the catalog" if parts else "")


def policy_id(policy: Policy) -> str:
    """A short hash of the policy in force, stored with every decision."""
    return hashlib.sha256(policy.model_dump_json().encode()).hexdigest()[:12]
