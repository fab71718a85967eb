"""Deciding, in order: what people said, then links by the machine, then questions, then new products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from rapidfuzz import fuzz

from endcap.decide.answers import Placement
from endcap.decide.clusters import Cluster, Clusters, Refusal, held_apart
from endcap.decide.identity import claim_ids, new_product_id
from endcap.decide.inputs import Inputs, OpenOffer
from endcap.decide.policy import APART, LINK, Edge, Verdict, judge
from endcap.decide.promised import Thresholds
from endcap.decide.switched import CODE as AUTOMATION_OFF
from endcap.settings import Policy

# Below this token-set likeness (0-100) an id's new title names something else, unless its GTIN stayed.
SAME_THING = 50.0
RETRIED = ("bridge", "weak_support")
# Refusals that answer themselves: the offer is another one, so nobody needs to be asked.
SILENT = ("two_products", "person_apart", "undecided", "same_feed", "contradiction")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of one open offer."""

    offer_id: str
    action: str  # linked | new_product | to_review
    product_id: str | None
    confidence: float
    reason_code: str
    reason: str
    proposed_product_id: str | None = None
    counterpart_offer_id: str | None = None
    decided_by: str = "machine"
    override_id: int | None = None


@dataclass(slots=True)
class Doubt:
    """An edge the machine may not link, with the reason a person will read."""

    edge: Edge
    code: str
    words: str


@dataclass(slots=True)
class State:
    """What is known so far in one run of deciding."""

    inputs: Inputs
    policy: Policy
    clusters: Clusters
    thresholds: Thresholds
    off: Mapping[str, str] = field(default_factory=dict)  # offers that are asked whatever the machine thinks, with why
    members: dict[str, set[str]] = field(default_factory=dict)  # product -> its offers as decided so far
    held: set[str] = field(default_factory=set)  # open offers that stay as they are, without a ruling
    bound: set[str] = field(default_factory=set)  # open offers that a person put with another offer
    unmoved: set[str] = field(default_factory=set)  # open offers that the supplier changed before a person's word on them was taken in
    rulings: dict[str, Ruling] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    best: dict[str, Edge] = field(default_factory=dict)  # open offer -> its best edge, whatever became of it


def rule(inputs: Inputs, policy: Policy, thresholds: Thresholds | None = None, off: Mapping[str, str] | None = None) -> dict[str, Ruling]:
    """A ruling for every open offer, by offer id. Pure: the same inputs give the same rulings, whatever their order.

    `off` are offers about which the machine may not decide, with why: they are asked, and what is linked stays; those that were looked at
    again only because of another offer get no ruling.
    """
    thresholds = thresholds or Thresholds(policy.accept)
    inputs = replace(inputs, edges=tuple(sorted(inputs.edges, key=lambda edge: (-edge.score, edge.left_id, edge.right_id))))
    clusters = Clusters(policy, inputs.edges, inputs.stated, inputs.answers, lambda edge: thresholds.of(edge)[0])
    state = State(inputs, policy, clusters, thresholds, off or {})
    for edge in inputs.edges:
        state.best.setdefault(edge.left_id, edge)
        state.best.setdefault(edge.right_id, edge)
    for step in (_ask_about_changed_names, _hold_answers, _open_the_rest, _link, _ask, _settle):
        step(state)
    return dict(sorted(state.rulings.items()))


def _ask_about_changed_names(state: State) -> None:
    """An id that names something else now is not quietly moved with its history (THREATS A8)."""
    inputs = state.inputs
    for offer_id, offer in inputs.offers.items():
        former = inputs.before.get(offer_id)
        if former is None or offer.title_before is None or offer_id in inputs.answers.placed or former in inputs.answers.apart.get(offer_id, ()):
            continue
        same_gtin = offer.gtin is not None and offer.gtin == offer.gtin_before
        likeness = _likeness(offer.title, offer.title_before)
        if likeness < SAME_THING and not same_gtin:
            words = f"this id was {offer.title_before!r} before and is {offer.title!r} now"
            state.rulings[offer_id] = Ruling(offer_id, "to_review", None, round(likeness / 100, 4), "renamed", words, former)


def _likeness(title: str, title_before: str) -> float:
    return float(fuzz.token_set_ratio(title.casefold(), title_before.casefold()))


def _hold_answers(state: State) -> None:
    """A person's placement holds: with its counterpart where that is in sight, else in the product the person named."""
    inputs = state.inputs
    settled = {product_id: dict(offers) for product_id, offers in inputs.settled.items()}
    _ask_about_changed_placements(state, settled)
    in_sight = {offer_id for offers in settled.values() for offer_id in offers} | (inputs.offers.keys() - state.rulings.keys())
    for offer_id, offer in sorted(inputs.offers.items()):
        placement = inputs.answers.placed.get(offer_id)
        if placement is None or offer_id in state.unmoved:
            continue
        if placement.product_id is not None and placement.counterpart in in_sight:
            state.bound.add(offer_id)
            continue
        product_id = placement.product_id or _own_product(state, offer_id)
        if not inputs.answers.apart_offers.get(offer_id, frozenset()).isdisjoint(settled.get(product_id, ())):
            _ask_about_contradiction(state, offer_id, placement.counterpart, placement)
            continue
        settled.setdefault(product_id, {})[offer_id] = offer.feed
        state.rulings[offer_id] = _answered(offer, product_id, placement)
    _ask_about_changed_denials(state, settled)
    _restore(state, settled)
    _hold_automation(state, settled)
    for product_id, offers in sorted(settled.items()):
        state.clusters.add_product(product_id, offers)
        state.members[product_id] = set(offers)


def _ask_about_changed_denials(state: State, settled: dict[str, dict[str, str]]) -> None:
    """What a person said an offer is not, they said of what they saw: where the supplier changed it since, they are asked again (promise P5)."""
    answers = state.inputs.answers
    for offer_id, denial in sorted(answers.denied.items()):
        offer = state.inputs.offers.get(offer_id)
        if offer is None or offer_id in answers.placed or offer_id in state.rulings or denial.identity_hash == offer.identity_hash:
            continue
        _ask_again(state, settled, offer, denial, f"the supplier changed this offer since {denial.actor} said that it is another product")


def _ask_about_changed_placements(state: State, settled: dict[str, dict[str, str]]) -> None:
    """An answer that came after the supplier made something else of its offer moves nothing, and is asked again (promise P5)."""
    for offer_id, offer in sorted(state.inputs.offers.items()):
        placement = state.inputs.answers.placed.get(offer_id)
        if placement is None or placement.identity_hash == offer.identity_hash or _is_where_said(state, offer_id, placement):
            continue
        if _likeness(offer.title, state.inputs.named.get(offer_id, "")) < SAME_THING:
            state.unmoved.add(offer_id)
            _ask_again(state, settled, offer, placement, f"the supplier changed this offer since {placement.actor} decided")


def _is_where_said(state: State, offer_id: str, placement: Placement) -> bool:
    """Whether an offer is already where a person put it: an answer that a run took in before the supplier changed the offer."""
    inputs, here = state.inputs, state.inputs.before.get(offer_id)
    if here is None or offer_id in inputs.placeless:
        return False
    if placement.product_id is None:
        return inputs.founders.get(here) == offer_id
    beside = inputs.before.get(placement.counterpart or "")
    return here in (placement.product_id, beside) or placement.counterpart in inputs.settled.get(here, ())


def _ask_again(state: State, settled: dict[str, dict[str, str]], offer: OpenOffer, said: Placement, words: str) -> None:
    """What a person said of an offer as it was moves nothing of what it is now: it stays where it was meanwhile, unless an answer forbids that."""
    answers, stays = state.inputs.answers, state.inputs.before.get(offer.offer_id)
    if offer.offer_id in state.inputs.placeless or state.inputs.states.get(stays or "", "live") not in ("live", "gone"):
        stays = None
    beside = settled.get(stays or "", {})
    if stays in answers.apart.get(offer.offer_id, ()) or not answers.apart_offers.get(offer.offer_id, frozenset()).isdisjoint(beside):
        stays = None
    if stays is not None:
        settled.setdefault(stays, {})[offer.offer_id] = offer.feed
        words = f"{words}; it stays where it is until somebody looks again"
    state.rulings[offer.offer_id] = Ruling(
        offer.offer_id, "to_review", stays, 0.5, "source_changed", words, said.product_id, said.counterpart, "person", said.override_id
    )  # fmt: skip


def _restore(state: State, settled: dict[str, dict[str, str]]) -> None:
    """Where an answer was taken back the decision before it holds again (promise P9), unless another answer forbids it."""
    answers = state.inputs.answers
    for offer_id, was in sorted(state.inputs.restored.items()):
        beside = settled.get(was.product_id or "", {})
        forbidden = was.product_id in answers.apart.get(offer_id, ()) or not answers.apart_offers.get(offer_id, frozenset()).isdisjoint(beside)
        if offer_id in state.rulings or forbidden:
            continue
        if was.product_id is not None:
            settled.setdefault(was.product_id, {})[offer_id] = state.inputs.offers[offer_id].feed
        state.rulings[offer_id] = Ruling(
            offer_id, was.action, was.product_id, was.confidence, was.reason_code, was.reason, was.proposed_product_id, was.counterpart_offer_id
        )  # fmt: skip


def _hold_automation(state: State, settled: dict[str, dict[str, str]]) -> None:
    """Where automation is off a person is asked, and an offer stays in the product it was in meanwhile."""
    inputs = state.inputs
    for offer_id in sorted(inputs.offers.keys() & state.off.keys() - state.rulings.keys() - state.bound - inputs.answers.placed.keys()):
        stays, best = inputs.before.get(offer_id), state.best.get(offer_id)
        if offer_id in inputs.placeless or stays in inputs.answers.apart.get(offer_id, ()) or inputs.states.get(stays or "", "live") != "live":
            stays = None
        if stays is not None:
            settled.setdefault(stays, {})[offer_id] = inputs.offers[offer_id].feed
        if offer_id in inputs.reopened:
            state.held.add(offer_id)
            continue
        verdict = _verdict(state, best) if best else None
        words = f"{state.off[offer_id]}; the nearest: {verdict.words}" if verdict else f"{state.off[offer_id]}; no other offer resembles it"
        other = best.other(offer_id) if best and verdict and verdict.does != APART else None
        confidence = round(best.score, 4) if best else 0.5
        state.rulings[offer_id] = Ruling(offer_id, "to_review", stays, confidence, AUTOMATION_OFF, words, None, other)


def _own_product(state: State, offer_id: str) -> str:
    """The product an offer founded by a person's word: its former one where that is its own, else a new one."""
    former = state.inputs.before.get(offer_id)
    if former is not None and state.inputs.founders.get(former) == offer_id and former not in state.inputs.answers.apart.get(offer_id, ()):
        return former
    return new_product_id(offer_id, state.inputs.taken)


def _answered(offer: OpenOffer, product_id: str, placement: Placement) -> Ruling:
    """The ruling on an offer that a person placed; where the source changed since, it stays and the person is asked again (promise P5)."""
    actor, action, override_id = placement.actor, placement.action, placement.override_id
    if placement.identity_hash != offer.identity_hash:
        words = f"the supplier changed this offer since {actor} decided; it stays where it is until somebody looks again"
        return Ruling(offer.offer_id, "to_review", product_id, 0.5, "source_changed", words, product_id, None, "person", override_id)
    made = "new_product" if action == "new" else "linked"
    return Ruling(offer.offer_id, made, product_id, 1.0, f"person_{action}", f"{actor} decided: {action}", None, None, "person", override_id)


def _open_the_rest(state: State) -> None:
    """Everything else starts alone; what a person put together is together before any score is looked at."""
    for offer_id, offer in state.inputs.offers.items():
        if offer_id not in state.rulings and offer_id not in state.held:
            state.clusters.add_open(offer_id, offer.feed)
    for offer_id, placement in sorted(state.inputs.answers.placed.items()):
        if placement.product_id is None or placement.counterpart is None or offer_id in state.unmoved:
            continue
        if not state.clusters.bind(offer_id, placement.counterpart):
            _ask_about_contradiction(state, offer_id, placement.counterpart, placement)


def _ask_about_contradiction(state: State, offer_id: str, other_id: str | None, placement: Placement) -> None:
    """A placement that other answers forbid is asked again, of whichever of its two offers is decided now."""
    if offer_id not in state.inputs.offers and other_id is not None:
        offer_id, other_id = other_id, offer_id
    if offer_id not in state.inputs.offers or offer_id in state.rulings:
        return
    proposed = None if placement.product_id in state.inputs.answers.apart.get(offer_id, ()) else placement.product_id
    words = f"{placement.actor} said it is the same as another offer, and another answer keeps the two apart"
    state.bound.discard(offer_id)
    state.rulings[offer_id] = Ruling(
        offer_id, "to_review", None, 0.5, "answers_contradict", words, proposed, other_id, "person", placement.override_id
    )  # fmt: skip


def _verdict(state: State, edge: Edge) -> Verdict:
    return judge(edge, state.policy, *state.thresholds.of(edge))


def _link(state: State) -> None:
    """Those that share a GTIN first, then the best edges; what was refused for lack of support is tried again once clusters have grown.

    However alike two siblings are, the one with the GTIN has the place of its feed in the product.
    """
    refused: list[tuple[Edge, Verdict, Refusal]] = []
    for edge in sorted(state.inputs.edges, key=lambda edge: not edge.same_gtin):
        verdict = _verdict(state, edge)
        if verdict.does == LINK:
            refusal = state.clusters.join(edge)
            if refusal is not None:
                refused.append((edge, verdict, refusal))
        elif verdict.does != APART:
            state.doubts.append(Doubt(edge, verdict.code, verdict.words))
    for edge, verdict, refusal in refused:
        last = state.clusters.join(edge) if refusal.code in RETRIED else refusal
        if last is not None and (last.code not in SILENT or (last.code == "contradiction" and edge.same_gtin)):
            state.doubts.append(Doubt(edge, last.code, f"{verdict.words}, but {last.words}"))


def _ask(state: State) -> None:
    """A lone offer with a doubtful likeness waits for a person; of two lone ones that of a product, or else the first by id, founds and the other waits."""
    founding: set[str] = set()
    for doubt in sorted(state.doubts, key=lambda doubt: (-doubt.edge.score, doubt.edge.left_id, doubt.edge.right_id)):
        for offer_id, other_id in _ends(state, doubt.edge):
            cluster, target = state.clusters.of(offer_id), state.clusters.of(other_id)
            if not _lone(cluster) or target is None or offer_id in state.rulings or offer_id in founding:
                continue
            if other_id in state.rulings and _lone(target):
                continue
            if cluster is None or held_apart(cluster, target):
                continue
            founding |= {other_id} if _lone(target) else set()
            # What was settled stays where it is while somebody is asked whether it belongs elsewhere.
            stays = state.inputs.before.get(offer_id) if offer_id in state.inputs.reopened else None
            state.rulings[offer_id] = Ruling(
                offer_id, "to_review", stays, round(doubt.edge.score, 4), doubt.code, doubt.words, target.product_id, other_id
            )  # fmt: skip
            break


def _ends(state: State, edge: Edge) -> list[tuple[str, str]]:
    """Each end with the other; one without a product first, then the later id, so that the other one founds."""
    ends = [(edge.right_id, edge.left_id), (edge.left_id, edge.right_id)]
    return sorted(ends, key=lambda end: _product_until_now(state, end[0]) is not None)


def _product_until_now(state: State, offer_id: str, *states: str) -> str | None:
    """The product of one of these states, if not said live, that an open offer is in, or was in when it was last delivered, as this run begins."""
    product_id = state.inputs.before.get(offer_id)
    return product_id if product_id and offer_id not in state.inputs.placeless and state.inputs.states.get(product_id) in (states or ("live",)) else None


def _lone(cluster: Cluster | None) -> bool:
    return cluster is not None and cluster.product_id is None and cluster.size == 1


def _settle(state: State) -> None:
    """Give every cluster its product: the one it joined, the one most of its offers had, or a new one."""
    waiting = {offer_id for offer_id, ruling in state.rulings.items() if ruling.action == "to_review"}
    clusters = [(cluster, sorted(set(cluster.members) - waiting)) for cluster in state.clusters.all_open()]
    clusters = [(cluster, members) for cluster, members in clusters if members]
    loose = [members for cluster, members in clusters if cluster.product_id is None]
    free = {offer_id: product_id for members in loose for offer_id, product_id in _carried_on(state, members)}
    claimed = iter(claim_ids(loose, free, state.inputs.founders))
    taken = set(state.inputs.taken) | set(state.members)
    ids: dict[str, str] = {}
    for cluster, members in clusters:
        product_id = cluster.product_id or next(claimed)
        known = product_id is not None
        product_id = product_id or new_product_id(members[0], taken)
        taken.add(product_id)
        ids[cluster.root] = product_id
        for offer_id in members:
            founds = cluster.size == 1 or offer_id == (state.inputs.founders.get(product_id) if known else members[0])
            if offer_id in state.bound:
                state.rulings[offer_id] = _answered(state.inputs.offers[offer_id], product_id, state.inputs.answers.placed[offer_id])
            else:
                state.rulings[offer_id] = _placed(state, cluster, offer_id, product_id, founds=founds)
    _keep_what_would_end(state, {*ids.values(), *state.members})
    _name_what_is_asked(state, ids)


def _keep_what_would_end(state: State, going_on: set[str]) -> None:
    """A product that only offers in doubt are left of stays as it was, with its founder or else the first of them, until they are answered (promise P12).

    So does one that ended when its offers were not delivered, and one of them is back.
    """
    stay: dict[str, tuple[bool, str]] = {}
    for offer_id, ruling in state.rulings.items():
        product_id = _product_until_now(state, offer_id, "live", "gone")
        in_doubt = ruling.action == "to_review" and ruling.product_id is None and ruling.decided_by == "machine" and ruling.reason_code != "renamed"
        founded_by_answer = offer_id in state.inputs.restored  # ends with the answer
        if in_doubt and not founded_by_answer and product_id and product_id not in going_on and product_id not in state.inputs.answers.apart.get(offer_id, ()):
            mine = (state.inputs.founders.get(product_id) != offer_id, offer_id)
            stay[product_id] = min(stay.get(product_id, mine), mine)
    for product_id, (_joined, offer_id) in stay.items():
        state.rulings[offer_id] = replace(state.rulings[offer_id], product_id=product_id)


def _carried_on(state: State, members: list[str]) -> Iterator[tuple[str, str]]:
    """Each offer of a cluster with the product it was in, where nothing else is that product now and nobody said that one of them is not."""
    forbidden = {product_id for offer_id in members for product_id in state.inputs.answers.apart.get(offer_id, ())}
    for offer_id in members:
        former = state.inputs.before.get(offer_id)
        if former is not None and former not in state.members and former not in forbidden:
            yield offer_id, former


def _placed(state: State, cluster: Cluster, offer_id: str, product_id: str, *, founds: bool) -> Ruling:
    best = state.best.get(offer_id)
    if founds and cluster.size == 1:
        if best is None:
            return Ruling(offer_id, "new_product", product_id, 0.99, "alone", "no other offer resembles it")
        verdict = _verdict(state, best)
        words = f"nothing is alike enough to link; the nearest: {verdict.words}" if verdict.does != LINK else f"the nearest was taken: {verdict.words}"
        denial = state.inputs.answers.denied.get(offer_id)
        if denial is not None and best.other(offer_id) in state.inputs.answers.apart_offers.get(offer_id, ()):
            words = f"{denial.actor} said that it is another product than its nearest: {verdict.words}"
        confidence = 1 - best.score if verdict.does != LINK else 0.5
        return Ruling(offer_id, "new_product", product_id, round(confidence, 4), "new", words, None, best.other(offer_id))
    edge = _best_inside(state, cluster, offer_id)
    if edge is None:
        return Ruling(offer_id, "linked", product_id, 0.5, "group", "held in the group by its other offers")
    words = _verdict(state, edge).words
    if founds:
        words = f"first of {cluster.size} offers; {words}"
        return Ruling(offer_id, "new_product", product_id, round(edge.score, 4), "founds", words, None, edge.other(offer_id))
    return Ruling(offer_id, "linked", product_id, round(edge.score, 4), "alike", words, None, edge.other(offer_id))


def _best_inside(state: State, cluster: Cluster, offer_id: str) -> Edge | None:
    """The best linkable edge of an offer to another of its own cluster."""
    inside = (edge for edge in state.clusters.edges_of(offer_id) if state.clusters.of(edge.other(offer_id)) is cluster)
    return next((edge for edge in inside if _verdict(state, edge).does == LINK), None)


def _name_what_is_asked(state: State, ids: dict[str, str]) -> None:
    """Questions raised before products had ids get the id of what they ask about."""
    for offer_id, ruling in state.rulings.items():
        if ruling.action == "to_review" and ruling.proposed_product_id is None and ruling.counterpart_offer_id:
            target = state.clusters.of(ruling.counterpart_offer_id)
            proposed = ids.get(target.root, target.product_id if ruling.reason_code == AUTOMATION_OFF else None) if target else None
            if proposed in state.inputs.answers.apart.get(offer_id, ()):
                proposed = None  # a person said that it is not; the other offer is what is asked about
            state.rulings[offer_id] = replace(ruling, proposed_product_id=proposed)
