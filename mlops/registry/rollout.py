"""A rollout: which version answers, or answers silently, beside the champion, and until when.

The registry keeps it, beside the alias of the champion, so that any number of servers follow one
truth. It ends by itself: a deployment that died leaves no canary behind.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Literal

from pydantic import Field

from mlops.data.references import Reference


class Rollout(Reference):
    """One version beside the champion.

    Attributes:
        deployment: Id of the deployment that started it.
        version: Of the model, by number.
        model_id: Of that version: another registry may have another one of its number. Set when the
            rollout starts; empty in records of before it was noted.
        mode: ``canary``: its answers are returned; ``shadow``: they are only logged.
        percent: Share of the requests, by hash of the request id.
        started_at: With time zone.
        expires_at: With time zone; from then on there is no rollout.
        by: Who started it.
        reason: Why.
    """

    deployment: str
    version: int
    model_id: str = ""
    mode: Literal["canary", "shadow"]
    percent: float = Field(gt=0, le=100)
    started_at: datetime
    expires_at: datetime
    by: str
    reason: str

    def is_over(self, now: datetime | None = None) -> bool:
        """Tell whether it has expired."""
        return self.expires_at <= (now or datetime.now(timezone.utc))
