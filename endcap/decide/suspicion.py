"""Signs that a run which looks perfect is wrong: each is said loudly, and holds the run where the policy says so.

A suspicion is a figure over the tables of the run, in words with examples. None of them proves a fault; all of them have been one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from endcap.settings import Policy

# Below so many links or offers a share says nothing.
ENOUGH, ENOUGH_LINKS = 100, 50
# Source-local numbers: most links share one, and each feed's values fill a range as a counter does.
SHARED_KEY = 0.5
DENSE = 0.5
MOST_DIGITS = 7
# Two feeds of which nearly every offer is linked hold the same records, or something that is not a product links them.
NEARLY_ALL, LEAST_FEED = 0.95, 50
# Titles of linked offers share more words than those of any two; where they hardly do, something else than the product links them.
SAMPLE, CHANCE = 2000, 0.05
# So few offers of so many are linked that what is linked without a label may be chance.
FEW, MANY_OFFERS = 0.05, 500
# What two offers may share instead of a title.
KEYS = {"part number": "mpn", "GTIN": "gtin", "id": "source"}
EQUAL_TITLES = 0.5
# A feed of which so many offers have a GTIN that another of its offers has lists products more than once, or gives one GTIN to all sizes.
REPEATED, LEAST_REPEATED = 0.1, 20
# A GTIN on so many different titles of one feed stands for none of them.
_MANY_TITLES = """
    SELECT feed, gtin, count(*) AS offers, count(DISTINCT title) AS titles FROM offers WHERE gtin IS NOT NULL GROUP BY feed, gtin
    HAVING count(DISTINCT title) >= 20
"""
# But in a marketplace one product has many titles, too: half of them have a word in common that few others there have.
_ONE_PRODUCT = """
    SELECT DISTINCT feed, gtin FROM many_titles
    JOIN (SELECT o.feed, o.gtin, w.word, count(DISTINCT o.title) AS said FROM offers o SEMI JOIN many_titles USING (feed, gtin)
          JOIN market_words w USING (feed, title) GROUP BY ALL) USING (feed, gtin)
    JOIN (SELECT feed, word, count(*) AS everywhere FROM market_words GROUP BY ALL) USING (feed, word)
    WHERE 2 * said >= titles AND everywhere < 4 * said
"""
_WORDS = r"regexp_split_to_array(lower(title), '[^\p{L}\p{N}]+')"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One sign, with its figures."""

    name: str  # as in policy.hold_on
    words: str
    examples: tuple[str, ...]  # at most three

    @property
    def sentence(self) -> str:
        """The words with the examples."""
        return f"suspicious ({self.name}): {self.words}" + (f"; for example {'; '.join(self.examples)}" if self.examples else "")


_LINKS = """
    SELECT l.*, l.offer_id AS left_id, o.title AS left_title, c.title AS right_title, o.feed AS left_feed, c.feed AS right_feed,
           o.source_id AS left_source, c.source_id AS right_source, o.mpn AS left_mpn, c.mpn AS right_mpn, o.gtin AS left_gtin, c.gtin AS right_gtin
    FROM decisions l JOIN offers o USING (offer_id) JOIN offers c ON c.offer_id = l.counterpart_offer_id
    WHERE l.kind = 'product' AND l.action IN ('linked', 'new_product') AND l.decided_by = 'machine' AND l.reason_code <> 'new'
    QUALIFY row_number() OVER (PARTITION BY least(l.offer_id, l.counterpart_offer_id), greatest(l.offer_id, l.counterpart_offer_id)
                               ORDER BY l.action, l.offer_id) = 1
"""


def placeholder_gtins(con: duckdb.DuckDBPyConnection, marketplaces: Collection[str]) -> pa.Table:
    """GTINs of a feed that stand for none (feed, gtin, offers, titles), most offers first."""
    many = con.sql(f"{_MANY_TITLES} ORDER BY offers DESC, feed, gtin").to_arrow_table()
    if set(marketplaces).isdisjoint(many["feed"].to_pylist()):
        return many
    con.register("many_titles", many)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE market_words AS SELECT DISTINCT feed, title, unnest({_WORDS}) AS word FROM offers WHERE list_contains($feeds, feed)",
        {"feeds": sorted(marketplaces)},
    )
    return con.sql(f"SELECT * FROM many_titles ANTI JOIN ({_ONE_PRODUCT}) USING (feed, gtin) ORDER BY offers DESC, feed, gtin").to_arrow_table()


def find_suspicions(con: duckdb.DuckDBPyConnection, policy: Policy) -> list[Suspicion]:
    """All signs in the tables `offers`, `pairs` and `decisions` as this run leaves them, in a fixed order."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE made_links AS {_LINKS}")
    return [suspicion for check in CHECKS for suspicion in check(con, policy)]


def _source_key(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    # A counter of part numbers may stand behind letters that are the same for all: ART-10001. Ids with letters are house numbers as a rule.
    for label, column, before in (("ids", "source", ""), ("part numbers", "mpn", "[^0-9]*")):
        ((links, shared),) = con.execute(f"SELECT count(*), count(*) FILTER (left_{column} = right_{column}) FROM made_links").fetchall()
        if links < ENOUGH_LINKS or shared < SHARED_KEY * links:
            continue
        offer_column = "source_id" if column == "source" else column
        feeds = con.execute(f"""
            WITH numbered AS (SELECT feed, regexp_extract({offer_column}, '^{before}') AS letters,
                                     regexp_extract({offer_column}, '^{before}([0-9]{{1,{MOST_DIGITS}}})$', 1) AS digits FROM offers)
            SELECT feed, count(DISTINCT digits), max(digits::BIGINT) - min(digits::BIGINT) + 1 FROM numbered
            WHERE digits <> '' GROUP BY feed, letters HAVING count(*) >= {ENOUGH} / 2 ORDER BY feed
        """).fetchall()  # fmt: skip
        counting = sorted({feed for feed, distinct, span in feeds if distinct >= DENSE * span})
        if len(counting) > 1:
            words = f"{shared:,} of {links:,} links join offers with equal {label}, which count up from a start in {', '.join(counting[:3])}: they name nothing"
            yield Suspicion("source_key", words, _examples(con, f"left_{column} = right_{column}"))


def _unlike_titles(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    """Over all links, and over those of each key: beside links that rest on titles a key that names no product would not be seen."""
    across = "left_feed <> right_feed"
    groups = {"linked offers": across} | {f"offers with the same {words}": f"{across} AND left_{one} = right_{one}" for words, one in KEYS.items()}
    for told, which in groups.items():
        rows = con.execute(
            f"SELECT left_title, right_title FROM made_links WHERE {which} ORDER BY md5(left_id), left_id, counterpart_offer_id LIMIT ?", [SAMPLE]
        ).fetchall()
        shares = _words_shared(rows)
        if shares is not None and shares[0] < shares[1] + CHANCE:
            words = (
                f"titles of {len(rows):,} {told} share {shares[0]:.0%} of their words, those of any two {shares[1]:.0%}: a key links them that names no product"
            )
            yield Suspicion("unlike_titles", words, _examples(con, which))
            return


def _words_shared(rows: list[tuple[str, str]]) -> tuple[float, float] | None:
    """(share of words that linked titles have in common, the same of any two of them); None where too few say anything.

    Words without digits count, so that a key that stands in the titles does not speak for itself; titles of codes alone say nothing.
    """
    pairs = [(_plain_words(left), _plain_words(right)) for left, right in rows]
    pairs = [(left, right) for left, right in pairs if min(len(left), len(right)) > 1]
    if len(pairs) < ENOUGH_LINKS:
        return None
    others = [right for _left, right in pairs[1:] + pairs[:1]]
    linked = sum(_in_common(left, right) for left, right in pairs) / len(pairs)
    return linked, sum(_in_common(left, other) for (left, _right), other in zip(pairs, others, strict=True)) / len(pairs)


def _plain_words(title: str) -> set[str]:
    return {word for word in title.casefold().split() if not any(letter.isdigit() for letter in word)}


def _in_common(one: set[str], other: set[str]) -> float:
    return len(one & other) / min(len(one), len(other))


def _nearly_all(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    """Distinct offers of the smaller feed count, on either side of a link: many variants may rightly link to one offer of it."""
    rows = con.execute("""
        WITH sizes AS (SELECT feed, count(*) AS offers FROM offers GROUP BY feed),
             across AS (SELECT * FROM made_links WHERE action = 'linked' AND left_feed <> right_feed),
             ends AS (SELECT left_feed AS feed, right_feed AS partner, left_id AS offer_id FROM across
                      UNION SELECT right_feed, left_feed, counterpart_offer_id FROM across),
             reached AS (SELECT feed, partner, count(*) AS linked FROM ends GROUP BY feed, partner)
        SELECT least(feed, partner), greatest(feed, partner), linked, a.offers FROM reached JOIN sizes a USING (feed) JOIN sizes b ON b.feed = partner
        WHERE a.offers < b.offers OR (a.offers = b.offers AND feed < partner) ORDER BY ALL
    """).fetchall()
    for one, other, links, offers in rows:
        if offers >= LEAST_FEED and links >= NEARLY_ALL * offers:
            words = f"{links:,} of {offers:,} offers of the smaller of {one} and {other} are linked: are they two deliveries of the same records?"
            yield Suspicion("nearly_all_linked", words, _examples(con, "least(left_feed, right_feed) = ? AND greatest(left_feed, right_feed) = ?", one, other))


def _few_linked(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    """Feeds that sell different things: what is most alike among them is not the same for that."""
    ((links, linked, offers, feeds),) = con.execute("""
        WITH across AS (SELECT offer_id, counterpart_offer_id FROM made_links WHERE left_feed <> right_feed),
             ends AS (SELECT offer_id FROM across UNION SELECT counterpart_offer_id FROM across)
        SELECT (SELECT count(*) FROM across), (SELECT count(*) FROM ends), count(*), count(DISTINCT feed) FROM offers
    """).fetchall()
    if links and feeds > 1 and offers >= MANY_OFFERS and linked < FEW * offers:
        words = f"only {linked:,} of {offers:,} offers are linked to another feed's: do the feeds sell the same things? `endcap audit` tells how many are right"
        yield Suspicion("few_linked", words, _examples(con, "left_feed <> right_feed"))


def _none_linked(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    """Neither linked nor asked about: feeds that have nothing in common, or a scorer that learned nothing from them."""
    ((linked, offers, feeds),) = con.execute("""
        SELECT (SELECT count(*) FROM decisions WHERE kind = 'product' AND action IN ('to_review', 'linked')), count(*), count(DISTINCT feed) FROM offers
    """).fetchall()
    if not linked and feeds > 1 and offers >= ENOUGH:
        words = (
            f"none of {offers:,} offers of {feeds} feeds is linked, or asked about: do they sell the same things? `endcap explain` of two that are one says why"
        )
        yield Suspicion("none_linked", words, ())


def _equal_scores(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    """Only links of different titles count: equal titles are equally alike."""
    differing = "lower(left_title) <> lower(right_title)"
    ((links, scores),) = con.execute(f"SELECT count(*), count(DISTINCT round(confidence, 3)) FROM made_links WHERE {differing}").fetchall()
    if links >= ENOUGH_LINKS and scores == 1:
        yield Suspicion("equal_scores", f"all {links:,} links of different titles have one and the same likeness", _examples(con, differing))


def _large_cluster(con: duckdb.DuckDBPyConnection, policy: Policy) -> Iterator[Suspicion]:
    rows = con.execute("""
        SELECT product_id, count(*), any_value(title) FROM decisions JOIN offers USING (offer_id) WHERE kind = 'product' AND product_id IS NOT NULL
        GROUP BY product_id HAVING count(*) >= ? ORDER BY count(*) DESC, product_id LIMIT 3
    """, [policy.max_cluster]).fetchall()  # fmt: skip
    if rows:
        words = f"{rows[0][1]:,} offers are one product, the most that policy.max_cluster lets a machine gather"
        yield Suspicion("large_cluster", words, tuple(f"{product_id} with {count} offers, {title!r}" for product_id, count, title in rows))


def _equal_titles(con: duckdb.DuckDBPyConnection, _policy: Policy) -> Iterator[Suspicion]:
    rows = con.execute("""
        WITH counted AS (SELECT feed, title, count(*) AS offers, sum(count(*)) OVER (PARTITION BY feed) AS every FROM offers GROUP BY feed, title)
        SELECT feed, arg_max(title, offers), max(offers), max(every) FROM counted GROUP BY feed ORDER BY feed
    """).fetchall()
    for feed, title, offers, every in rows:
        if every >= LEAST_FEED and offers >= EQUAL_TITLES * every:
            words = f"{offers:,} of {every:,} offers of {feed} have the same title: is the right column mapped?"
            yield Suspicion("equal_titles", words, (repr(title[:60]),))


def _placeholder_gtin(con: duckdb.DuckDBPyConnection, policy: Policy) -> Iterator[Suspicion]:
    rows = placeholder_gtins(con, policy.marketplaces).slice(0, 3).to_pylist()
    if rows:
        feed, gtin, offers, titles = rows[0].values()
        words = f"{offers:,} offers of {feed} with {titles:,} different titles share the GTIN {gtin}: it stands for none"
        yield Suspicion("placeholder_gtin", words, tuple(f"{row['gtin']} in {row['feed']}" for row in rows))


def _repeated_gtin(con: duckdb.DuckDBPyConnection, policy: Policy) -> Iterator[Suspicion]:
    """A product has one place for each feed, so that the second offer of it in a feed founds another, unless another feed states its GTIN."""
    con.register("placeholders", placeholder_gtins(con, policy.marketplaces))
    rows = con.execute(f"""
        WITH sizes AS (SELECT feed, count(*) AS every FROM offers GROUP BY feed),
             shared AS (SELECT feed, gtin, count(*) AS offers, min(title) AS title FROM offers WHERE gtin IS NOT NULL
                          AND gtin NOT IN (SELECT gtin FROM placeholders) GROUP BY feed, gtin HAVING count(*) > 1)
        SELECT feed, sum(offers)::BIGINT, any_value(every), arg_min(title, (-offers, gtin)) FROM shared JOIN sizes USING (feed)
        GROUP BY feed HAVING sum(offers) >= greatest({LEAST_REPEATED}, {REPEATED} * any_value(every)) ORDER BY feed
    """).fetchall()
    for feed, offers, every, title in rows:
        if feed in policy.marketplaces:
            continue
        words = (
            f"{offers:,} of {every:,} offers of {feed} share their GTIN with another offer of {feed}. If several sellers list one product there, name {feed} "
            "under policy.marketplaces: else a product takes one offer of it alone. If one GTIN stands for all sizes of an article, do not map it"
        )
        yield Suspicion("repeated_gtin", words, (repr(title[:60]),))


CHECKS: tuple[Callable[[duckdb.DuckDBPyConnection, Policy], Iterator[Suspicion]], ...] = (
    _source_key, _unlike_titles, _nearly_all, _few_linked, _none_linked, _equal_scores, _large_cluster, _equal_titles, _placeholder_gtin,
    _repeated_gtin,
)  # fmt: skip


def _examples(con: duckdb.DuckDBPyConnection, which: str, *values: str) -> tuple[str, ...]:
    rows = con.execute(f"SELECT left_title, right_title FROM made_links WHERE {which} ORDER BY md5(left_id), left_id LIMIT 3", list(values)).fetchall()
    return tuple(f"{left[:50]!r} with {right[:50]!r}" for left, right in rows)
