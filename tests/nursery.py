"""What the process has read that the desks' servers are forked from: their libraries, and the kernels of matching, loaded by a use of them.

No pool of threads may begin here: it would be missing in the fork.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_match import run_all, small_world

from endcap.serve import serving

__all__ = ["serving"]
run_all(small_world(20))
