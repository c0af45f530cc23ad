"""Names of groups of rows, as people read them; here so that nothing numeric is loaded for them."""

from __future__ import annotations

from typing import Final

# Six hours of night, and the rest of the day in parts of three or four.
PARTS_OF_DAY: Final = ("night", "morning", "midday", "afternoon", "evening", "late evening")
WEEKDAYS: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    *("Saturday", "Sunday"),
)
QUARTERS: Final = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
MISSING: Final = "missing"
OTHER: Final = "other"
