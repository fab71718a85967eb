"""The shelf of pair features: each file compares two offers in one way and can say so in words.

A feature is a module with
  VIEW       'key' (identifiers), 'content' (what the offers say) or 'context' (their other candidates)
  DIRECTION  +1 when more of it speaks for the same product, -1 when against, 0 when it depends
  compare(left: Record, right: Record) -> float                  NaN = unknown
  column(pairs: Pairs) -> float32 array [n]                      the same for many pairs at once
  words(left: Record, right: Record, value: float) -> str        what the value means for this pair, '' = nothing to say
  CASES      (left offer, right offer, expected value), offers as dicts of Offer fields
Every feature is symmetric and deterministic; `endcap.match.checks` holds all this for built-in and plugin features alike.
"""
