"""Hold the rows of a declared dataset to its rules: keep, set aside with reasons, or refuse all.

The rows of one month, or of a table without months, are in memory at a time. They are staged under
a key made of the bytes of the files, the definition, the limits and the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mlops import fingerprints
from mlops.data.files.described import as_it_lies_there, require_unchanged
from mlops.data.quality import (
    MonthCount,
    RuleInForce,
    clean_file,
    finished,
    refuse_bad_batch,
    report_of,
    stage_month,
)
from mlops.data.references import Extraction, SourceFile, TripPart, ValidatedTrips
from mlops.data.store.content import STAGED_ANEW
from mlops.datasets.declared.preparing.extracting import rows_of
from mlops.datasets.declared.preparing.identity import identity_of
from mlops.datasets.declared.reading import iter_frames
from mlops.datasets.declared.rules import DatasetRule, broken_rules, rules_of
from mlops.datasets.definition import DatasetDefinition
from mlops.errors import ConfigurationError, SourceError
from mlops.records.parquet import read_table
from mlops.settings import Settings, ValidationSettings

# Rows that break these belong to no window, or teach nothing.
_UNLABELLED: Final = "target_missing"
_NEEDED: Final = ("event_missing", _UNLABELLED)


def validate(
    definition: DatasetDefinition, extraction: Extraction, settings: Settings
) -> ValidatedTrips:
    """Validate every month of an extraction and stage the rows kept.

    Args:
        definition: Of the dataset.
        extraction: The source files.
        settings: `settings.validation` holds the limits and changed actions.

    Returns:
        The extraction with the hashes of the bytes that were read, one part per month, or one in
        all if no file says its month, and the quality report.

    Raises:
        ConfigurationError: If an action names an unknown rule, or one that cannot be changed.
        DataQualityError: If the batch breaks a limit on volume, coverage or bad rows.
        SourceError: If a file cannot be read, or changes meanwhile.
    """
    count = partial(rows_of, definition)
    files = tuple(as_it_lies_there(file, count) for file in extraction.files)
    limits = settings.validation
    rules = declared_rules_in_force(definition, limits)
    folder = settings.staging / f"validated-{_key(definition, files, limits)[:16]}"
    counts: dict[str, MonthCount] = {}
    for month in sorted({file.month for file in files}):
        of_month = sorted((f for f in files if f.month == month), key=lambda f: f.sha256)
        counts[month] = finished(folder, month) or _validate_month(
            definition, month, of_month, rules, folder
        )
    words = [RuleInForce(rule.name, rule.action, rule.meaning) for rule in rules]
    quality = report_of(counts, words, folder)
    refuse_bad_batch(counts, quality, limits, unlabelled=_UNLABELLED)
    parts = tuple(
        TripPart(month=month, uri=str(clean_file(folder, month)), rows=count.kept)
        for month, count in counts.items()
    )
    covered = _months_of(definition, parts) if "" in counts else ()
    extraction = extraction.model_copy(update={"files": files, "covered": covered})
    return ValidatedTrips(extraction=extraction, quality=quality, parts=parts)


def declared_rules_in_force(
    definition: DatasetDefinition, limits: ValidationSettings
) -> tuple[DatasetRule, ...]:
    """Return the rules that are not ignored, with the action that the settings give them.

    Raises:
        ConfigurationError: If an action names a rule that does not exist or cannot be changed.
    """
    rules = rules_of(definition)
    names = [rule.name for rule in rules]
    for name, action in limits.actions.items():
        if name not in names:
            raise ConfigurationError(
                f"validation.actions: {definition.name} has no rule {name!r}",
                f"the rules are: {', '.join(names)}",
            )
        if name in _NEEDED and action != "quarantine":
            raise ConfigurationError(
                f"validation.actions: {name} cannot be changed to {action}: nothing can be learned"
                " from such rows",
                f"leave {name} out",
            )
    actions = {rule.name: limits.actions.get(rule.name, rule.action) for rule in rules}
    return tuple(
        replace(rule, action=action) for rule in rules if (action := actions[rule.name]) != "ignore"
    )


def _key(
    definition: DatasetDefinition, files: Sequence[SourceFile], limits: ValidationSettings
) -> str:
    return fingerprints.of_values(
        fingerprints.of_code("data", "datasets"),
        identity_of(definition),
        # The names are written beside the rows set aside.
        sorted((file.month, file.sha256, file.name) for file in files),
        limits.model_dump(mode="json"),
    )


def _validate_month(
    definition: DatasetDefinition,
    month: str,
    files: Sequence[SourceFile],
    rules: Sequence[DatasetRule],
    folder: Path,
) -> MonthCount:
    try:
        frames = [[*iter_frames(definition, file.uri)] for file in files]
        require_unchanged(files)
        rows = pd.concat([frame for of_file in frames for frame in of_file], ignore_index=True)
    except MemoryError as error:
        raise SourceError(
            f"{', '.join(file.name for file in files)}:"
            f" {sum(file.rows for file in files):,} rows do not fit into memory",
            "the rows of a month are held in memory: use a machine with more of it, or divide the"
            " table into files by month",
        ) from error
    rejecting = {rule.name for rule in rules if rule.action == "quarantine"}
    lengths = [(file, sum(map(len, of_file))) for file, of_file in zip(files, frames, strict=True)]
    event = definition.event
    order = sorted(definition.columns, key=lambda name: name != event)  # the event first
    broken = broken_rules(rules, rows)
    return stage_month(rows, broken, rejecting, lengths, order, folder, month)


def _months_of(definition: DatasetDefinition, parts: Sequence[TripPart]) -> tuple[str, ...]:
    if definition.time is None:
        return ()
    months = {
        str(month)
        for part in parts
        for month in np.unique(
            read_table(part.uri, STAGED_ANEW, [definition.time.event])
            .column(0)
            .to_numpy()
            .astype("datetime64[M]")
        )
    }
    return tuple(sorted(months))
