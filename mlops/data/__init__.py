"""Where trips come from and what makes them fit to learn from: sources, validation, snapshots."""

import os

# Arrow's own allocator keeps what it frees: the peak of a long preparation was twice as high with
# it, and no faster. Arrow reads this when first imported; processes started later inherit it.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
