"""`python -m endcap.sandbox DIR`: make a world."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from endcap.sandbox import make


def main() -> None:
    """Make a world and print its counts as JSON."""
    parser = argparse.ArgumentParser(prog="python -m endcap.sandbox", description="Make a world of suppliers with known truth.")
    parser.add_argument("dir", type=Path, help="folder to write it to")
    parser.add_argument("--offers", type=int, default=6000, help="about how many offers on the first day")
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--change-share", type=float, default=None, help="share of offers that change from day to day; without it an ordinary mix of changes")
    parser.add_argument("--no-incidents", action="store_true", help="nothing goes wrong")
    given = parser.parse_args()
    world = make(given.dir, offers=given.offers, days=given.days, seed=given.seed, incidents=not given.no_incidents, change_share=given.change_share)
    print(json.dumps({"offers_per_day": world.offers_per_day, "suppliers": world.suppliers, "incidents": len(world.incidents)}))


if __name__ == "__main__":
    main()
