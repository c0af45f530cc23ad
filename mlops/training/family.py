"""What makes a candidate: all that training needs to know of a kind of model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlops.errors import ConfigurationError
from mlops.training.estimators import Estimator
from mlops.training.spaces import Scalar, Space

Params = dict[str, Scalar]
# Hyperparameters, seed, threads → an unfitted estimator.
Build = Callable[[Mapping[str, Any], int, int], Estimator]


@dataclass(frozen=True)
class Family:
    """A kind of model and how to search it.

    Attributes:
        name: What configuration and results call it.
        kind: Baselines are what every model must beat; the others name their library.
        build: Makes an unfitted estimator from complete hyperparameters.
        defaults: A value for every hyperparameter; the first trial of each search.
        space: What the search may vary; the other hyperparameters are constants.
        cost: Rough seconds for one fit of a real month (54 000 trips) on one core.
    """

    name: str
    kind: Literal["baseline", "sklearn", "xgboost"]
    build: Build
    defaults: Mapping[str, Scalar] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    cost: float = 0.1

    @property
    def baseline(self) -> bool:
        """Whether a model that does not beat it is refused."""
        return self.kind == "baseline"

    def complete(self, params: Mapping[str, Any]) -> Params:
        """Fill in the defaults.

        Raises:
            ConfigurationError: Naming a hyperparameter that the family does not have.
        """
        unknown = sorted(set(params) - set(self.defaults))
        if unknown:
            raise ConfigurationError(
                f"training.overrides.{self.name}.{unknown[0]}: there is no such hyperparameter",
                f"{self.name} has {', '.join(self.defaults) or 'none'}",
            )
        return {**self.defaults, **params}
