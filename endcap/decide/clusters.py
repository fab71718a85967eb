"""Greedy clustering of offers under constraints: best edges first, and every refusal has its reason in words.

Agglomerative linking in the order of scores, with must-link and cannot-link constraints (Davidson and Ravi 2005), one offer of a
feed per product (but of a marketplace), a minimum mean support, and no link between two clusters that hangs on a single edge (a bridge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from endcap.decide.answers import Answers
from endcap.decide.policy import Edge
from endcap.decide.stated import agree
from endcap.settings import Policy

# To a product of so many offers another one must be alike to two of them, so that no chain of single pairs grows.
CHAIN = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why two clusters were not joined."""

    code: str
    words: str


@dataclass(slots=True)
class Cluster:
    """Offers believed to be one product. `feeds` counts offers by feed, those settled earlier included."""

    root: str
    product_id: str | None = None
    members: list[str] = field(default_factory=list)  # only the offers that are open in this run
    feeds: dict[str, int] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)  # products that a person said some member is not
    apart_offers: set[str] = field(default_factory=set)  # offers that a person said some member is not the same as
    offers: set[str] = field(default_factory=set)  # all its offers, open and settled
    stated: dict[str, set[str]] = field(default_factory=dict)  # name -> values its offers state

    @property
    def size(self) -> int:
        return sum(self.feeds.values())


def held_apart(left: Cluster, right: Cluster) -> bool:
    """Whether a person said that something in one cluster is not something in the other."""
    if left.product_id in right.apart or right.product_id in left.apart:
        return True
    return not left.apart_offers.isdisjoint(right.offers) or not right.apart_offers.isdisjoint(left.offers)


class Clusters:
    """The clusters of one run: products settled earlier, and open offers that join them or each other."""

    def __init__(
        self, policy: Policy, edges: Iterable[Edge], stated: Mapping[str, Mapping[str, str]], answers: Answers, accept: Callable[[Edge], float]
    ) -> None:
        self._policy = policy
        self._accept = accept  # from which likeness on an edge is linked by machine
        self._answers = answers
        self._stated = stated
        self._of: dict[str, Cluster] = {}
        self._edges: dict[str, list[Edge]] = {}
        for edge in edges:
            self._edges.setdefault(edge.left_id, []).append(edge)
            self._edges.setdefault(edge.right_id, []).append(edge)

    def add_product(self, product_id: str, settled: Mapping[str, str]) -> None:
        """A product with its settled offers (offer id -> feed)."""
        cluster = Cluster(root=product_id, product_id=product_id)
        for offer_id, feed in settled.items():
            cluster.feeds[feed] = cluster.feeds.get(feed, 0) + 1
            self._take_in(cluster, offer_id)

    def add_open(self, offer_id: str, feed: str) -> None:
        """An offer to be decided now."""
        self._take_in(Cluster(root=offer_id, members=[offer_id], feeds={feed: 1}), offer_id)

    def _take_in(self, cluster: Cluster, offer_id: str) -> None:
        self._of[offer_id] = cluster
        cluster.offers.add(offer_id)
        cluster.apart |= self._answers.apart.get(offer_id, frozenset())
        cluster.apart_offers |= self._answers.apart_offers.get(offer_id, frozenset())
        for name, value in self._stated.get(offer_id, {}).items():
            cluster.stated.setdefault(name, set()).add(value)

    def bind(self, offer_id: str, other_id: str) -> bool:
        """Put two offers together because a person said so, whatever a machine says against it; two settled products stay two.

        False where other answers keep the two groups apart or in two products: people contradict each other, and a machine does not
        choose between them.
        """
        left, right = self._of.get(offer_id), self._of.get(other_id)
        if left is None or right is None or left is right:
            return True
        if (left.product_id and right.product_id) or held_apart(left, right):
            return False
        self._merge(left, right)
        return True

    def of(self, offer_id: str) -> Cluster | None:
        return self._of.get(offer_id)

    def edges_of(self, offer_id: str) -> list[Edge]:
        """The offer's edges, best first."""
        return self._edges.get(offer_id, [])

    def all_open(self) -> list[Cluster]:
        """Clusters with at least one open offer, each once, in the order of their roots."""
        found = {cluster.root: cluster for cluster in self._of.values() if cluster.members}
        return [found[root] for root in sorted(found)]

    def join(self, edge: Edge) -> Refusal | None:
        """Join the two ends of an edge; None when they are together now, else why not."""
        left, right = self._of.get(edge.left_id), self._of.get(edge.right_id)
        if left is None or right is None:
            return Refusal("undecided", "the other offer waits for a person itself")
        if left is right:
            return None
        refusal = self._refusal(left, right, edge)
        if refusal is None:
            self._merge(left, right)
        return refusal

    def _refusal(self, left: Cluster, right: Cluster, edge: Edge) -> Refusal | None:
        if left.product_id and right.product_id:
            return Refusal("two_products", "it would make one of two products")
        if held_apart(left, right):
            return Refusal("person_apart", "a person said it is another product")
        shared = sorted((left.feeds.keys() & right.feeds.keys()) - set(self._policy.marketplaces))
        if shared and not edge.same_gtin:
            return Refusal("same_feed", f"{shared[0]} already has another offer of this product")
        if left.size + right.size > self._policy.max_cluster:
            return Refusal("too_large", f"the product would have more than {self._policy.max_cluster} offers")
        for name in sorted(left.stated.keys() & right.stated.keys()):
            # A product that holds both values already, by a person's word, takes either.
            if not any(agree(one, other) for one in left.stated[name] for other in right.stated[name]):
                told = " against ".join("/".join(sorted(cluster.stated[name])) for cluster in (left, right))
                return Refusal("contradiction", f"other offers of the product say {name} {told}")
        return self._weak(left, right)

    def _weak(self, left: Cluster, right: Cluster) -> Refusal | None:
        between = self._between(left, right)
        mean = sum(edge.score for edge in between) / len(between)
        if mean < (self._policy.accept + self._policy.review) / 2:
            return Refusal("weak_support", f"the other offers of the product are less alike ({mean:.2f} on average)")
        strong = sum(edge.score >= self._accept(edge) for edge in between)
        if left.size > 1 and right.size > 1 and strong < 2:
            return Refusal("bridge", "one pair alone would hold two groups of offers together")
        alike = sum(edge.score >= self._policy.review for edge in between)
        if max(left.size, right.size) >= CHAIN and alike < 2:
            return Refusal("bridge", f"of the product's {max(left.size, right.size)} offers only one resembles it")
        return None

    def _between(self, left: Cluster, right: Cluster) -> list[Edge]:
        """Every known edge from one cluster to the other; each edge has at least one open end."""
        found: dict[tuple[str, str], Edge] = {}
        for near, far in ((left, right), (right, left)):
            for offer_id in near.members:
                for edge in self._edges.get(offer_id, ()):
                    if self._of.get(edge.other(offer_id)) is far:
                        found[edge.left_id, edge.right_id] = edge
        return list(found.values())

    def _merge(self, left: Cluster, right: Cluster) -> None:
        # The cluster with a product takes in the other; else the smaller root, so that the order of the input does not matter.
        into, gone = sorted((left, right), key=lambda cluster: (cluster.product_id is None, cluster.root))
        into.members += gone.members
        into.apart |= gone.apart
        into.apart_offers |= gone.apart_offers
        into.offers |= gone.offers
        for feed, count in gone.feeds.items():
            into.feeds[feed] = into.feeds.get(feed, 0) + count
        for name, values in gone.stated.items():
            into.stated[name] = into.stated.get(name, set()) | values
        for offer_id in gone.members:
            self._of[offer_id] = into
