"""What a definition declares, as part of the keys and names of what is prepared by it."""

from __future__ import annotations

import inspect
from pathlib import Path

from mlops import fingerprints
from mlops.datasets.declared.reading import derive_function
from mlops.datasets.definition import DatasetDefinition
from mlops.records.digests import sha256_of


def identity_of(definition: DatasetDefinition) -> str:
    """Hash all that a definition says of rows, and the code that derives columns.

    Where its files lie is left out: their bytes are part of every key themselves.

    Raises:
        ConfigurationError: If the function that derives columns cannot be loaded.
    """
    declared = definition.of_rows.model_dump(mode="json")
    derive = derive_function(definition)
    source = inspect.getsourcefile(inspect.unwrap(derive)) if derive else None
    return fingerprints.of_values(declared, sha256_of(Path(source)) if source else "")
