"""Completion in Mage's editor without importing what it offers.

Mage imports every file whose names it offers, under a name made from the file's path. Where the
environment lies in the project, as ours does, these names begin with a dot and each import ends in
a traceback; and the project's own blocks would be run. Names are read from the text of the files
anyway; only the methods of Mage's own classes need the class.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, Final

from mage_ai.autocomplete import utils

_PACKAGES: Final = "site-packages."


class _Unknown:
    """Stands for a module that is not imported: each of its classes has no methods to offer."""

    def __getattr__(self, name: str) -> Any:
        return object


def prepare() -> None:
    """Let Mage's completion import nothing but modules of Mage itself."""
    utils.importlib = SimpleNamespace(import_module=module_of)


def module_of(name: str) -> Any:
    """Return the module that Mage's completion asks for, or what stands for it.

    Args:
        name: Made from a path: ``.venv.lib.python3.11.site-packages.mage_ai.io.base``.
    """
    own = name.rpartition(_PACKAGES)[2]
    if own.startswith("mage_ai."):
        try:
            return importlib.import_module(own)
        except Exception:  # its driver is not installed
            return _Unknown()
    return _Unknown()
