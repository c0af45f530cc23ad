"""The dataset of a run: the worked case, or one that a definition declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops.settings import DEFAULT_DATASET, Settings

if TYPE_CHECKING:
    from mlops.datasets.dataset import Dataset
    from mlops.datasets.definition import DatasetDefinition


def dataset_of(settings: Settings) -> Dataset:
    """Return the dataset that ``settings.dataset`` names.

    Raises:
        ConfigurationError: If there is none of this name, or its definition is wrong.
    """
    if settings.dataset == DEFAULT_DATASET:
        from mlops.datasets.taxi.dataset import TaxiTrips

        return TaxiTrips()
    from mlops.datasets.declared.dataset import DeclaredDataset

    return DeclaredDataset(declared_definition(settings))


def declared_definition(settings: Settings) -> DatasetDefinition:
    """Return the definition of the dataset that ``settings.dataset`` names, which is no built-in.

    Raises:
        ConfigurationError: If there is none of this name, or it is wrong.
    """
    from mlops.datasets.catalogue import definition_file
    from mlops.datasets.loading import load_definition

    definition = load_definition(definition_file(settings.dataset))
    if settings.source.location:
        definition = definition.with_source(settings.source.location)
    if settings.windows.test_days:
        definition = definition.with_test_days(settings.windows.test_days)
    return definition
