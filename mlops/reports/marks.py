"""Small drawings that stand in table rows: an estimate with its interval, a contribution.

Written by hand rather than by matplotlib: a few hundred bytes each, in the page's own colours, so
that they are right in light, dark and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

_WIDTH: Final = 136
_HEIGHT: Final = 18
_MARGIN: Final = 4


class Scale(NamedTuple):
    """From values to places: the two values at the ends of the drawing."""

    low: float
    high: float

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """Return the scale that shows all values, never of no width."""
        low, high = min(values, default=0.0), max(values, default=1.0)
        return cls(low, high) if high > low else cls(low - 0.5, high + 0.5)

    def place(self, value: float) -> float:
        """Return the horizontal place of a value, kept inside the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return round(_MARGIN + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _MARGIN), 1)


def whisker(value: float, low: float, high: float, scale: Scale, at: float) -> str:
    """Draw an estimate and its interval, with a dotted line where all rows together are."""
    middle = _HEIGHT / 2
    line = scale.place(at)
    return _svg(
        f'<line class="at" x1="{line}" x2="{line}" y1="0" y2="{_HEIGHT}"/>'
        f'<line class="span" x1="{scale.place(low)}" x2="{scale.place(high)}" y1="{middle}"'
        f' y2="{middle}" stroke-width="2"/>'
        f'<circle class="dot" cx="{scale.place(value)}" cy="{middle}" r="3.5"/>'
    )


def bar(value: float, scale: Scale) -> str:
    """Draw a bar from nothing to a value; what is negative has another colour."""
    start, end = sorted((scale.place(0.0), scale.place(value)))
    zero = scale.place(0.0)
    return _svg(
        f'<rect class="{"bar" if value >= 0 else "less"}" x="{start}" y="4"'
        f' width="{max(round(end - start, 1), 0.8)}" height="{_HEIGHT - 8}"/>'
        f'<line class="track" x1="{zero}" x2="{zero}" y1="0" y2="{_HEIGHT}"/>'
    )


def gauge(value: float, limit: float) -> str:
    """Draw how much of what is allowed a value takes; beyond the limit, it has another colour."""
    scale = Scale(0.0, 1.0)
    share = value / limit
    end = scale.place(share)
    return _svg(
        f'<line class="track" x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{_HEIGHT / 2}"'
        f' y2="{_HEIGHT / 2}" stroke-width="{_HEIGHT - 10}"/>'
        f'<rect class="{"less" if share > 1 else "bar"}" x="{_MARGIN}" y="5"'
        f' width="{max(round(end - _MARGIN, 1), 0.8)}" height="{_HEIGHT - 10}"/>'
    )


def _svg(content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f"{content}</svg>"
    )
