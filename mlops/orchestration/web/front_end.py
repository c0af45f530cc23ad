"""Mage's pages with their dashboard back: files of the front end are changed as they are sent.

The overview page knows how to show a dashboard, but its tab was taken off the list of tabs. The
files on disk stay as published; the version is pinned, and tests look at what was changed.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any, Final

from mage_ai.server import server
from tornado.web import RequestHandler, url

logger = logging.getLogger(__name__)

# What is lost where the front end is of another version, and the changes of the one file with it.
_CHANGES: Final = {
    # In the order in which they are found there: the list of tabs, and the one shown first.
    "the overview page has no dashboard": (
        ('uuid:"Dashboard"},s=[c,a,d]', 'uuid:"Dashboard"},s=[l,c,a,d]'),
        ("xM:function(){return c}", "xM:function(){return l}"),
    ),
    # Mage reports a chart as wrong while its first answer is on its way.
    "a loading chart is shown as not configured": (
        (
            '"Chart hasn’t been configured or no data was retrieved."',
            '"Loading … (a chart that stays like this has no data, or is not configured.)"',
        ),
    ),
}


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


def changed_files() -> list[Any]:
    """Return the rules that send files of the front end with our changes.

    Returns:
        One rule for each file that is changed; none if the code is not the one we know.
    """
    folder = Path(server.__file__).parent / "frontend_dist/_next/static/chunks"
    contents = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.js"))}
    changed: dict[Path, str] = {}
    for lost, changes in _CHANGES.items():
        for path, content in contents.items():
            if all(content.count(before) == 1 for before, _ in changes):
                for before, after in changes:
                    content = content.replace(before, after)
                contents[path] = changed[path] = content
                break
        else:
            logger.warning("%s: %s is of an unknown version", lost, folder)
    return [
        url(
            rf"/_next/static/chunks/{re.escape(path.name)}",
            ChangedFile,
            {"content": content.encode()},
        )
        for path, content in changed.items()
    ]
