"""What makes a candidate: all that training needs to know of a kind of model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops.errors import ConfigurationError
from mlops.training.spaces import Scalar, Space

if TYPE_CHECKING:
    from mlops.datasets.dataset import FeatureLayout
    from mlops.training.estimators import Estimator

Params = dict[str, Scalar]
# Hyperparameters, layout of the features, seed, threads → an unfitted estimator.
Build: TypeAlias = "Callable[[Mapping[str, Any], FeatureLayout, int, int], Estimator]"


@dataclass(frozen=True)
class Family:
    """A kind of model and how to search it.

    Attributes:
        name: What configuration and results call it.
        kind: A "baseline" is what every model must beat; the others name their library.
        build: Makes an unfitted estimator from complete hyperparameters.
        defaults: A value for every hyperparameter; the first trial of each search.
        space: What the search may vary; the other hyperparameters are constants.
        cost: Rough seconds for one fit of 54 000 rows with 40 features on one core.
    """

    name: str
    kind: str
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
            ConfigurationError: Naming a hyperparameter that the family does not have, or that is
                not a number where the family needs one.
        """
        for name, value in sorted(params.items()):
            where = f"training.overrides.{self.name}.{name}"
            if name not in self.defaults:
                raise ConfigurationError(
                    f"{where}: there is no such hyperparameter",
                    f"{self.name} has {', '.join(self.defaults) or 'none'}",
                )
            if _is_number(self.defaults[name]) and not (value is None or _is_number(value)):
                raise ConfigurationError(
                    f"{where}: {value!r} is not a number",
                    f"give a number; the default is {self.defaults[name]}",
                )
        return {**self.defaults, **params}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
