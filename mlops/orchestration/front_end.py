"""Mage's pages with their dashboard back: one file of the front end is changed as it is sent.

The overview page knows how to show a dashboard, but its tab was taken off the list of tabs. The
file on disk stays as published; the version is pinned, and a test looks at the tab.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final

from mage_ai.server import server
from tornado.web import RequestHandler, url

logger = logging.getLogger(__name__)

# In the order in which they are found there: the list of tabs, and the one that is shown first.
_CHANGES: Final = (
    (b'uuid:"Dashboard"},s=[c,a,d]', b'uuid:"Dashboard"},s=[l,c,a,d]'),
    (b"xM:function(){return c}", b"xM:function(){return l}"),
)


class ChangedFile(RequestHandler):
    """Sends a published file with our changes; like all of them it holds no data."""

    def initialize(self, content: bytes) -> None:
        """Take what the rule gives."""
        self._content = content

    def get(self) -> None:
        """Send it; Tornado adds a validator, so a browser fetches it once."""
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.write(self._content)


def dashboard_tab(chunks: Path | None = None) -> list[Any]:
    """Return the rule that sends the overview page with its dashboard as the first tab.

    Args:
        chunks: Folder of the front end's code; by default the installed one.

    Returns:
        One rule; none if the code is not the one we know, and the tab stays away.
    """
    folder = chunks or Path(server.__file__).parent / "frontend_dist/_next/static/chunks"
    for path in sorted(folder.glob("*.js")):
        content = path.read_bytes()
        if all(content.count(before) == 1 for before, _ in _CHANGES):
            for before, after in _CHANGES:
                content = content.replace(before, after)
            where = rf"/_next/static/chunks/{re.escape(path.name)}"
            return [url(where, ChangedFile, {"content": content})]
    logger.warning("the overview page has no dashboard: %s is of an unknown version", folder)
    return []
