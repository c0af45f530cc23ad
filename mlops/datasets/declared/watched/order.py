"""Whether the rows of a dataset have an order in time, without which nothing can be monitored."""

from __future__ import annotations

from mlops.datasets.definition import DatasetDefinition, TimeDeclaration
from mlops.errors import ConfigurationError


def require_order(definition: DatasetDefinition) -> TimeDeclaration:
    """Return the times of a definition's rows, if new rows can be compared with old ones.

    Raises:
        ConfigurationError: If rows have no time, or the test does not follow training in time.
    """
    time, split = definition.time, definition.split.by
    if time is None:
        raise ConfigurationError(
            f"{definition.name}: its rows have no time, so there is no order in which new ones"
            " could be compared with old ones",
            "declare time: {event: COLUMN} in the definition, and train again",
        )
    if split != "time":
        raise ConfigurationError(
            f"{definition.name}: its rows are split by: {split}, so the test does not follow"
            " training in time, and says nothing of later rows",
            "write split: {by: time} in the definition, and train again",
        )
    return time
