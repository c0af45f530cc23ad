"""The tables behind the dashboard Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlops.observability.table import Table

TABLES: Final[Mapping[str, Table]] = {}
