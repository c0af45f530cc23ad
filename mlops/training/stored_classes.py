"""Where the classes of stored models are now: a model outlives the folders of the library.

A pickle names each class by its module. A model that was saved before a module moved must load
after it: otherwise an upgrade makes every registered version useless, the champion included.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any, Final

# Modules that moved, by how their names began: add a line whenever a class of a model moves.
MOVED: Final[Mapping[str, str]] = {"mlops.features.": "mlops.datasets.taxi.features."}


def loads(content: bytes) -> Any:
    """Return what a pickle holds; this runs whatever code is in it, and may raise anything.

    Args:
        content: Of a file that you trust.
    """
    return _Unpickler(io.BytesIO(content)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a class, wherever it is now."""
        for old, new in MOVED.items():
            if module.startswith(old):
                module = new + module.removeprefix(old)
        return super().find_class(module, name)
