"""Where the classes of stored models are now: a model outlives the folders of the library.

A pickle names each class by its module. A model that was saved before a class moved must load after
it: otherwise an upgrade makes every registered version useless, the champion included.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any, Final

from mlops.datasets.taxi.trips import TARGET
from mlops.errors import MlopsError
from mlops.extensions import importable

FORMER_FORMAT: Final = "mlops.trip_duration_model/1"
# Modules that moved, by how their names began: add a line whenever a class of a model moves.
MOVED: Final[Mapping[str, str]] = {"mlops.features.": "mlops.datasets.taxi.features."}
RENAMED: Final[Mapping[str, str]] = {"TripDurationModel": "TabularModel"}
# What these learned has another form now.
_LOST: Final = ("route_median", "linear_regression", "lasso", "linear_svr")


def loads(content: bytes) -> Any:
    """Return what a pickle holds; this runs whatever code is in it, and may raise anything.

    Args:
        content: Of a file that you trust.
    """
    return _Unpickler(io.BytesIO(content)).load()


def upgraded(model: Any, source: str) -> Any:
    """Return a model of the former format as one of today's.

    Raises:
        MlopsError: If its family learns in another form today.
    """
    if model.family in _LOST:
        raise MlopsError(
            f"{source}: models of the family {model.family} that were saved by another version of"
            " the project cannot be read",
            "train it again",
        )
    vars(model).pop("features", None)  # the encoder's
    vars(model)["target"] = TARGET
    return model


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class, wherever it is now and whatever it is called."""
        if module.startswith("extensions."):
            importable()
        for old, new in MOVED.items():
            if module.startswith(old):
                module = new + module.removeprefix(old)
        return super().find_class(module, RENAMED.get(name, name))
