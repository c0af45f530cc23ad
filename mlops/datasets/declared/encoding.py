"""The one way from a dataset's rows to numbers, for training and for serving.

Only what the definition lists as a feature goes in. Categories become their rank: by their mean
answer where that is known well, so that a tree parts the high from the low with one cut, and else
by their frequency, so that neighbouring codes are about equally known. Those that hardly occur
count as other, hence a model has seen what an unseen category will be. That a value is missing is a
feature of its own where training has both.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from math import nan
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.consistency import history_features
from mlops.datasets.dataset import FeatureLayout, Matrix, Stratum
from mlops.datasets.declared.calendar import calendar_part, part_of_one
from mlops.datasets.declared.groups import Row
from mlops.datasets.declared.reading import dtype_of, nothing
from mlops.datasets.declared.snapshots import HistorySnapshot
from mlops.datasets.definition import CalendarPart, DatasetDefinition, FeatureDeclaration
from mlops.errors import DataQualityError

Whole: TypeAlias = "Mapping[str, npt.NDArray[Any]]"  # columns by name

# Rows; a category with fewer counts as other. Measured on houses in hundreds of districts: 3, 10
# and 30 rows differ by 0.2 % of RMSE, and the frequency or an out-of-fold mean of the target beside
# the code make predictions worse. What many categories say of the target, histories say better.
RARE: Final = 10
# Reliability of the means of categories from which on they are ordered by them. Below it, much of
# the order repeats the very answers that a model learns from: by the tail numbers of planes (0.65)
# the RMSE of flights grew by 2 %, by carriers and airports (above 0.97) it fell by 1 %, and that of
# rents by zip code by 28 %.
_RELIABLE: Final = 0.9
OTHER: Final = ""  # stands among ordered categories for all others; no text of a table is empty
_MICROSECONDS_PER_MINUTE: Final = 60_000_000


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """Turns rows of a dataset into a dense matrix with the columns `features`.

    Attributes:
        definition: Declares the features.
        categories: Of each category feature, the values that have a code, in the order of codes;
            `OTHER`, if it is among them, for all that have none.
        missing: Features that training knows both with and without a value.
        snapshot: What is known of groups; part of the encoder, so that a model answers the same
            wherever it is loaded. None if the definition declares no histories.
    """

    definition: DatasetDefinition
    categories: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...]
    snapshot: HistorySnapshot | None = None

    def __reduce__(self) -> Any:  # without what is computed once it is asked for
        return TableEncoder, (self.definition, self.categories, self.missing, self.snapshot)

    @classmethod
    def fit(
        cls,
        definition: DatasetDefinition,
        rows: pd.DataFrame,
        snapshot: HistorySnapshot | None = None,
    ) -> TableEncoder:
        """Learn the categories, and which values are sometimes missing.

        Args:
            definition: Declares the features.
            rows: To learn from.
            snapshot: What the model will know of groups when it is asked.

        Raises:
            DataQualityError: If there are no rows, or a column or the snapshot is missing.
        """
        if rows.empty:
            raise DataQualityError("there are no rows to learn from", "train on a longer window")
        if definition.histories and snapshot is None:
            raise DataQualityError(
                "the definition declares histories, but no snapshot of them is given",
                "freeze one with snapshot_of",
            )
        categories: dict[str, tuple[str, ...]] = {}
        missing = []
        for name, feature in definition.features.items():
            values = _column(rows, name, feature)
            without = pd.isna(values)
            if without.any() and not without.all():
                missing.append(name)
            if feature.type == "category":
                counts = Counter(values[~without].tolist())
                frequent = [value for value, count in counts.items() if count >= RARE]
                ordered = sorted(frequent, key=lambda v: (-counts[v], v))
                by_answer = _by_answer(
                    *(ordered, values, rows[definition.task.target]),
                    with_other=feature.unseen == "other",
                )
                categories[name] = tuple(by_answer or ordered)
        return cls(definition, categories, tuple(missing), snapshot)

    def renewed(self, snapshot: HistorySnapshot) -> TableEncoder:
        """Return the encoder with what is known on another morning, for the same model."""
        return replace(self, snapshot=snapshot)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of the matrix: numbers, categories, times, what is missing, past."""
        names = [*self.numbers, *self.categories]
        for name, parts in self.times.items():
            names += [f"{name}_{part}" for part in parts] or [name]
        names += [f"{name}_missing" for name in self.missing]
        for name, history in self.definition.histories.items():
            names += history_features(name, history)
        return tuple(names)

    @cached_property
    def layout(self) -> FeatureLayout:
        """What the columns of the matrix are."""
        codes = {name: len({*known, OTHER}) for name, known in self.categories.items()}
        event = self.definition.event
        minute, weekday = f"{event}_minute_of_day", f"{event}_weekday"
        clock = (minute, weekday) if {minute, weekday} <= {*self.features} else None
        return FeatureLayout(
            names=self.features,
            codes=codes,
            clock=clock,
            grouping=self._grouping(codes),
            strata=tuple(self._strata(codes)),
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of all that it has learned."""
        content = [self.snapshot.sha256 if self.snapshot else "", self.missing]
        text = json.dumps([*content, self.categories, self.definition.model_dump(mode="json")])
        return hashlib.sha256(text.encode()).hexdigest()

    def _grouping(self, codes: Mapping[str, int]) -> tuple[str, ...]:
        """Return the categories by which most is known of the past, the broadest first."""
        for declared in self.definition.histories.values():
            names = [*declared.prior, *(name for name in declared.by if name not in declared.prior)]
            if found := tuple(name for name in names if name in codes):
                return found
        return tuple(sorted(codes, key=lambda name: codes[name]))[:1]

    def _strata(self, codes: Mapping[str, int]) -> Iterator[Stratum]:
        """Yield the features by which errors are compared."""
        for declared in self.definition.slices.values():
            if declared.column in codes:
                groups = range(codes[declared.column] + 1)
                yield Stratum(declared.column, tuple(groups))
            elif declared.quantiles_of in self.numbers:
                yield Stratum(declared.quantiles_of)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Columns whose values are features as they are: numbers and flags."""
        features = self.definition.features.items()
        return tuple(name for name, each in features if each.type in ("number", "flag"))

    @cached_property
    def times(self) -> Mapping[str, tuple[CalendarPart, ...]]:
        """The parts of times that are features; no parts stand for the minutes from the event."""
        columns = self.definition.request_columns.items()
        times = {n: self.definition.calendar_of(n) for n, each in columns if each.type == "time"}
        return {n: parts for n, parts in times.items() if parts or n != self.definition.event}

    def encode(self, frame: pd.DataFrame, *, history: bool = False) -> Matrix:
        """Encode rows.

        Args:
            frame: The event's time and the features, optional ones if there are; with the types of
                `mlops.datasets.declared.reading`.
            history: Take the features of histories from the frame: what was known on the day of
                each row, which is what a model must learn from. Otherwise the encoder's snapshot.

        Returns:
            Shape ``(n, len(features))``, float32; NaN where unknown.

        Raises:
            DataQualityError: If a column is missing.
        """
        columns = self.definition.request_columns
        whole = {name: _column(frame, name, each) for name, each in columns.items()}
        matrix = np.empty((len(frame), len(self.features)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for position, values in enumerate(self._encoded(frame, whole, history)):
                matrix[:, position] = values
        return matrix

    def _encoded(self, frame: pd.DataFrame, whole: Whole, history: bool) -> Iterator[Any]:
        """Compute the features one after the other."""
        yield from (whole[name] for name in self.numbers)
        yield from (self.codes(name, whole[name]) for name in self.categories)
        for name, parts in self.times.items():
            yield from (calendar_part(whole[name], part) for part in parts)
            if not parts:
                since = whole[name] - whole[self.definition.event]
                minutes = since.astype(np.int64) / _MICROSECONDS_PER_MINUTE
                yield np.where(np.isnat(since), nan, minutes)
        yield from (pd.isna(whole[name]) for name in self.missing)
        if self.definition.histories:
            past = frame
            if not history and self.snapshot is not None:
                past = self.snapshot.lookup(self.definition, pd.DataFrame(whole, copy=False))
            for name, declared in self.definition.histories.items():
                for column in history_features(name, declared):
                    if column not in past:
                        raise _lacks(column)
                    yield past[column].to_numpy()

    def codes(self, category: str, values: Any) -> npt.NDArray[np.float64]:
        """Return the codes of values, ``(n,)``; NaN where one is missing."""
        known = pd.Index(self.categories[category], dtype=object)
        codes = known.get_indexer(pd.Index(values, dtype=object))
        found = np.where(codes < 0, self.code_of_unseen(category), codes)
        return np.where(pd.isna(values), nan, found)

    def code_of_unseen(self, category: str) -> float:
        """Return what a value that has no code becomes."""
        known = self.categories[category]
        if self.definition.features[category].unseen != "other":
            return nan
        return float(known.index(OTHER) if OTHER in known else len(known))


class RowEncoder:
    """Encodes one row at a time, to the bit as `TableEncoder.encode` does, in plain Python.

    Args:
        encoder: Whose tables to use.
    """

    def __init__(self, encoder: TableEncoder) -> None:
        definition = encoder.definition
        self._blank: dict[str, Any] = dict.fromkeys(definition.request_columns)
        self._numbers = encoder.numbers
        self._categories = [
            (name, {v: float(code) for code, v in enumerate(known)} | {None: nan}, unseen)
            for name, known in encoder.categories.items()
            for unseen in (encoder.code_of_unseen(name),)
        ]
        self._times = [
            (name, tuple(map(part_of_one, parts))) for name, parts in encoder.times.items()
        ]
        self._event = definition.event
        self._missing = encoder.missing
        past = encoder.snapshot
        self._past = past.of_one(definition) if past and definition.histories else lambda _: []

    def encode(self, row: Row) -> Matrix:
        """Return the features of a row, shape ``(len(features),)``.

        Args:
            row: Python's own values by column: float, str, bool and datetime without a zone; None
                or nothing where a value is not known.
        """
        row = {**self._blank, **row}
        found = [nan if (value := row[name]) is None else value for name in self._numbers]
        found += [codes.get(row[name], unseen) for name, codes, unseen in self._categories]
        for name, parts in self._times:
            at = row[name]
            if at is None:
                found += [nan] * (len(parts) or 1)
            elif parts:
                found += [part(at) for part in parts]
            else:
                found.append(_minutes(row[self._event], at))
        found += [row[name] is None for name in self._missing]
        found += self._past(row)
        return np.array(found, dtype=np.float32)


def _by_answer(
    known: Sequence[str], values: Any, target: pd.Series[Any], *, with_other: bool
) -> Sequence[str]:
    """Order categories by their mean answer, perhaps with `OTHER` where the mean of all rows lies.

    Returns:
        Nothing if the means are not reliable: by one-way analysis of variance, 1 - 1 / F (Bliese,
        "Within-group agreement, non-independence, and reliability", 2000, ICC(2)).
    """
    answers = pd.Series(target.to_numpy(dtype=np.float64))
    groups = answers.groupby(pd.Series(values, dtype=object)).agg(["size", "mean", "var"])
    groups = groups.loc[list(known)]
    sizes, means = groups["size"].to_numpy(), groups["mean"].to_numpy()
    if len(known) < 2:
        return ()
    middle = float(np.average(means, weights=sizes))
    between = float((sizes * (means - middle) ** 2).sum()) / (len(known) - 1)
    within = float(((sizes - 1) * groups["var"]).sum()) / float((sizes - 1).sum())
    if within >= (1 - _RELIABLE) * between:
        return ()
    others = [(float(answers.mean()), OTHER)] if with_other else []
    return [value for _, value in sorted([*zip(means.tolist(), known, strict=True), *others])]


def _minutes(event: datetime | None, at: datetime) -> float:
    if event is None:
        return nan
    since = at - event
    whole = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return whole / _MICROSECONDS_PER_MINUTE


def _column(frame: pd.DataFrame, name: str, feature: FeatureDeclaration) -> npt.NDArray[Any]:
    """Return a column as an array of its type; an optional one may not be there."""
    if name in frame:
        values: npt.NDArray[Any] = np.asarray(frame[name], dtype=dtype_of(feature))
        return values
    if not feature.optional:
        raise _lacks(name)
    return np.asarray(nothing(feature, len(frame)))


def _lacks(name: str) -> DataQualityError:
    return DataQualityError(
        f"the rows lack the column {name}", "give every feature that is not optional"
    )
