"""What each person says of which pairs of offers, as SQL over the operational tables: what labels and reliability are both read from."""

from __future__ import annotations

from endcap.decide.promised import AUDIT
from endcap.review.quota import OWN_GOODS

_UNDONE = "SELECT undoes FROM overrides WHERE undoes IS NOT NULL"
# A person's last word on a pair, as long as the offer says what it said then (0: from before that was kept); of one's own goods it teaches nothing.
VOTES = f"""
    WITH said AS (
        SELECT 'override' AS source, override_id AS number, offer_id, counterpart_offer_id AS other_id, action IN ('same', 'other') AS same, actor, "at",
               reason_code = '{AUDIT}' AS audited, coalesce(group_id, override_id::VARCHAR) AS deed
        FROM overrides v
        WHERE action IN ('same', 'other', 'different', 'new') AND counterpart_offer_id IS NOT NULL AND field IS NULL AND override_id NOT IN ({_UNDONE})
          AND override_id NOT IN ({OWN_GOODS})
          AND (identity_hash = 0 OR EXISTS (SELECT 1 FROM offers o WHERE o.offer_id = v.offer_id AND o.identity_hash = v.identity_hash))
        UNION ALL
        SELECT 'second', ask_id, offer_id, counterpart_offer_id, action IN ('same', 'other') AND chosen IS NOT DISTINCT FROM product_id, asked_of, answered_at,
               false, 'second ' || ask_id
        FROM blind_asks WHERE purpose IN ('second', 'batch') AND action IN ('same', 'other', 'different', 'new') AND counterpart_offer_id IS NOT NULL
    )
    SELECT least(offer_id, other_id) AS left_id, greatest(offer_id, other_id) AS right_id, same, source, number, actor, "at", audited,
           count(*) OVER (PARTITION BY deed) AS of_deed
    FROM said
    QUALIFY row_number() OVER (PARTITION BY least(offer_id, other_id), greatest(offer_id, other_id), actor ORDER BY "at" DESC, source, number DESC) = 1
"""
