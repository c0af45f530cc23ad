"""The pandera schema that enforces the data contract, and the rows that break it.

Pandera decides; its table of failure cases is not used, because building it takes longer than all
checks together. Each failed check carries its mask, from which the rows follow directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrorReason, SchemaErrors

from mlops.datasets.taxi.contract.rules import Rule, meaning_of
from mlops.datasets.taxi.trips import REQUEST_COLUMNS, TARGET, TRIP_COLUMNS
from mlops.errors import DataQualityError
from mlops.settings import ValidationSettings

Mask = npt.NDArray[np.bool_]


def trip_schema(
    rules: Mapping[str, Rule], limits: ValidationSettings, month: str = ""
) -> pa.DataFrameSchema:
    """Build the pandera schema: the types of the columns and one named check per rule.

    Args:
        rules: As from `rules_in_force`.
        limits: The limits in force.
        month: ``YYYY-MM`` of the trips; empty for requests, which have no label either.
    """
    columns = {**TRIP_COLUMNS, TARGET: "float64"} if month else REQUEST_COLUMNS
    checks = [
        pa.Check(
            partial(_obeys, rule=rule, limits=limits, month=month),
            name=rule.name,
            description=meaning_of(rule, limits),
            ignore_na=False,  # each rule decides what a missing value means
            n_failure_cases=1,  # rows are told apart by the mask; listing them is slow
        )
        for rule in rules.values()
    ]
    return pa.DataFrameSchema(
        {name: pa.Column(dtype, nullable=True) for name, dtype in columns.items()}, checks=checks
    )


def _obeys(
    trips: pd.DataFrame, rule: Rule, limits: ValidationSettings, month: str
) -> pd.Series[bool]:
    return rule.holds(trips, limits, month)


def broken_by_requests(
    requests: pd.DataFrame, rules: Mapping[str, Rule], limits: ValidationSettings
) -> dict[str, Mask]:
    """Hold requests to rules, as `broken_rules` does, without pandera.

    Each batch of predictions waits for this: a handful of rules costs less than the schema around
    them, whose first use alone takes as long as predicting 60 000 trips.

    Args:
        requests: At least the columns of `REQUEST_COLUMNS`.
        rules: As from `rules_in_force`, for what is known at pickup.
        limits: The limits in force.

    Returns:
        Name of each rule broken at least once → mask over the rows, in the order of the rules.

    Raises:
        DataQualityError: If a column is missing or has the wrong type, naming it.
    """
    for name, kind in REQUEST_COLUMNS.items():
        found = str(requests[name].dtype) if name in requests else "missing"
        if found != kind:
            raise _not_canonical(f"the column {name} is {found}, not {kind}")
    masks = {name: ~rule.holds(requests, limits, "").to_numpy(bool) for name, rule in rules.items()}
    return {name: mask for name, mask in masks.items() if mask.any()}


def broken_rules(trips: pd.DataFrame, schema: pa.DataFrameSchema) -> dict[str, Mask]:
    """Hold trips to a schema and return, per broken rule, the rows that break it.

    Args:
        trips: At least the schema's columns.
        schema: As from `trip_schema`.

    Returns:
        Name of each rule broken at least once → mask over the rows, in the schema's order.

    Raises:
        DataQualityError: If a column is missing or has the wrong type, naming it.
    """
    view = trips.copy(deep=False)
    try:
        schema.validate(view, lazy=True, inplace=True)
    except SchemaErrors as caught:
        errors = caught.schema_errors
        for error in errors:
            if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
                raise _not_canonical(str(error)) from None
        return {error.check.name: ~error.check_output.to_numpy(bool) for error in errors}
    finally:
        # The accessor and its frame refer to each other, which would keep the trips in memory until
        # the garbage collector comes by: tens of chunks later.
        vars(view).pop("pandera", None)
    return {}


def _not_canonical(why: str) -> DataQualityError:
    return DataQualityError(
        f"the trips do not have the canonical schema: {why}",
        "give the columns and types of mlops.datasets.taxi.trips,"
        " or read the file with mlops.datasets.taxi.files.reading",
    )
