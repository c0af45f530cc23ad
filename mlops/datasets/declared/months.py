"""Which months a declared dataset has: those of its files, nothing else is asked."""

from __future__ import annotations

from mlops.data.locations import named_in
from mlops.datasets.catalogue import definition_file
from mlops.datasets.declared.preparing.extracting import asking_for, months_at
from mlops.datasets.declared.reading import MONTH
from mlops.datasets.loading import load_definition
from mlops.errors import ConfigurationError
from mlops.settings import ALL_MONTHS, Settings


def months_there(settings: Settings) -> tuple[str, ...]:
    """Return the months of which there are files, oldest first; none if files hold any time.

    Args:
        settings: `settings.source.location` replaces the location of the dataset's definition.

    Raises:
        ConfigurationError: If the dataset has no definition, or one with mistakes.
        SourceError: If the location cannot be asked.
    """
    definition = load_definition(definition_file(settings.dataset))
    locations = named_in(settings.source.location or definition.source.location)
    found = {m for location in locations if MONTH in location for m in months_at(location)}
    return tuple(sorted(found))


def require_monthly(location: str, asked: str, option: str = "score_months") -> None:
    """Refuse to choose months of files that hold any time.

    Args:
        location: Of the files.
        asked: The months, as the option gives them.
        option: The run-time variable or setting that names them.

    Raises:
        ConfigurationError: If the location has no ``{month}``.
    """
    if MONTH not in location:
        raise ConfigurationError(
            f"{option}: {asked}, but {location} has no {MONTH}: its rows are of any time",
            f"leave {option.rpartition('.')[2]} out to take all rows",
        )


def with_months(settings: Settings) -> Settings:
    """Return the configuration with the months that there are, if it asks for all of them.

    Args and raises are those of `months_there`.
    """
    every = settings.source.months == ALL_MONTHS
    return asking_for(settings, months_there(settings)) if every else settings
