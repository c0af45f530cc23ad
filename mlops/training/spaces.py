"""Search spaces in plain data, so that only the search itself needs hyperopt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, TypeAlias

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True)
class Uniform:
    """A real number between two bounds."""

    low: float
    high: float

    def expression(self, name: str) -> Any:
        """Return the dimension for hyperopt."""
        from hyperopt import hp

        return hp.uniform(name, self.low, self.high)

    def point(self, value: Any) -> Any:
        """Return a value as hyperopt writes it down."""
        return value


@dataclass(frozen=True)
class LogUniform(Uniform):
    """A positive number whose order of magnitude matters."""

    def expression(self, name: str) -> Any:
        """Return the dimension for hyperopt."""
        from hyperopt import hp

        return hp.loguniform(name, log(self.low), log(self.high))


@dataclass(frozen=True)
class Integer:
    """A whole number between two bounds, both included."""

    low: int
    high: int

    def expression(self, name: str) -> Any:
        """Return the dimension for hyperopt."""
        from hyperopt import hp

        return hp.uniformint(name, self.low, self.high)

    def point(self, value: Any) -> Any:
        """Return a value as hyperopt writes it down."""
        return value


class Choice:
    """One of a few values, in no order."""

    def __init__(self, *options: Scalar) -> None:
        self.options = options

    def expression(self, name: str) -> Any:
        """Return the dimension for hyperopt."""
        from hyperopt import hp

        return hp.choice(name, list(self.options))

    def point(self, value: Any) -> Any:
        """Return a value as hyperopt writes it down: its position."""
        return self.options.index(value)


Dimension: TypeAlias = Uniform | Integer | Choice
Space: TypeAlias = Mapping[str, Dimension]
