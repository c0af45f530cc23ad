"""Data of any problem: tables in files, windows in time, snapshots, and references to them."""

import os

# Arrow's own allocator keeps what it frees: the peak of a long preparation was twice as high with
# it, and no faster. Arrow reads this when first imported; processes started later inherit it.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
