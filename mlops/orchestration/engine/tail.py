"""Follows a block's progress file (see `mlops.progress`) while the block writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class ProgressTail:
    """Reads what was appended since the last look.

    Args:
        path: The file; it may not exist yet. What it holds already is skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the new steps as (message, fields); a half-written line waits for its end."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        steps = []
        for line in whole.splitlines():
            try:
                step = json.loads(line)
                message = str(step.pop("message"))
            except (ValueError, KeyError, AttributeError, TypeError):
                continue  # not ours: a block may write what it likes
            step.pop("at", None)
            steps.append((message, step))
        return steps
