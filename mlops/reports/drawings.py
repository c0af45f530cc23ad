"""Drawings made fit to stand together in one page."""

from __future__ import annotations

import hashlib
import re

from mlops.drawing.frame import Drawing, to_html


def chart(drawing: Drawing) -> str:
    """Return a drawing as HTML whose ids no other drawing of the page has.

    Matplotlib names clip paths and markers alike in every figure: without this, the second drawing
    of a page would be cut by the edges of the first. The same drawing has the same ids.
    """
    svg = str(to_html(drawing))
    prefix = f"d{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", svg)
