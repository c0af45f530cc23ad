"""Cron expressions as Mage reads them; its reader imports in milliseconds and nothing else."""

from __future__ import annotations

from datetime import datetime, timezone


def is_cron(text: str) -> bool:
    """Tell whether Mage accepts an expression, such as ``30 4 * * *`` or ``@daily``."""
    from mage_ai.shared.croniter import croniter

    return text in _NAMES or bool(croniter.is_valid(text))


def next_time(cron: str, after: datetime) -> datetime:
    """Return when an expression of five fields is due next, in UTC."""
    from mage_ai.shared.croniter import croniter

    moment: datetime = croniter(cron, after.astimezone(timezone.utc)).get_next(datetime)
    return moment


# https://docs.mage.ai/orchestration/triggers/schedule-pipelines
_NAMES = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@always_on")
