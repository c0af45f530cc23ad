"""How people speak of a declared dataset: in the words of its definition, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from mlops.datasets.consistency import history_features
from mlops.datasets.declared.names import OTHER, PARTS_OF_DAY, QUARTERS, WEEKDAYS
from mlops.datasets.definition import CalendarPart, DatasetDefinition, HistoryDeclaration
from mlops.datasets.wording import DatasetWords, plural

if TYPE_CHECKING:
    import pandas as pd

_PARTS: Final[dict[CalendarPart, str]] = {
    "minute_of_day": "time of day",
    "hour": "hour",
    "part_of_day": "part of the day",
    "weekday": "day of the week",
    "day_of_month": "day of the month",
    "day_of_year": "day of the year",
    "month": "month",
}


def words_of_definition(definition: DatasetDefinition) -> DatasetWords:
    """Return the nouns and sentences of a dataset."""
    task, row = definition.task, definition.row
    answer, title, rows = _name(definition, task.target), definition.title.strip(), plural(row)
    article = "an" if row[0].lower() in "aeiou" else "a"
    return DatasetWords(
        row=row,
        rows=rows,
        question=title if title[-1] in ".?!" else f"{title}.",
        prediction=f"the {answer} of {article} {row}{f', in {task.unit}' if task.unit else ''}",
        answer=answer,
        unit=task.unit,
        short=task.unit,
        size=f"the size of the {answer}",
        examples=(
            f"{article.title()} {row} with a low prediction",
            f"{article.title()} {row} with a medium prediction",
            f"{article.title()} {row} with a high prediction",
        ),
        times=_name(definition, definition.time.event) if definition.time else "",
        inputs=_inputs(definition),
        split=_split(definition, rows),
        resampled=_resampled(definition, rows),
        dependence=_dependence(definition),
        features=dict(_features(definition)),
        order=(*PARTS_OF_DAY, *WEEKDAYS, *QUARTERS),
        leftovers=frozenset({OTHER}),
        card=definition.card,
        card_file=f"datasets/{definition.name}/dataset.yaml",
    )


def _name(definition: DatasetDefinition, column: str) -> str:
    """Return a column in words, or a part of its time as histories name it."""
    part = ""
    if column not in definition.columns:
        column, _, part = column.rpartition(".")
    declared = definition.columns.get(column)
    name = (declared.meaning if declared else "") or column.replace("_", " ")
    return f"{_PARTS[part]} of {name}" if part else name  # type: ignore[index]


def _features(definition: DatasetDefinition) -> Iterator[tuple[str, str]]:
    for column, declared in definition.request_columns.items():
        name, parts = _name(definition, column), definition.calendar_of(column)
        yield from ((f"{column}_{part}", f"{_PARTS[part]} of {name}") for part in parts)
        yield f"{column}_missing", f"whether {name} is missing"
        if declared.type == "time" and not parts:
            name = f"minutes from {_name(definition, definition.event)} to {name}"
        yield column, name
    for group, history in definition.histories.items():
        for feature, statistic in zip(
            history_features(group, history), history.statistics, strict=True
        ):
            yield feature, _history(definition, history, statistic)


def _history(definition: DatasetDefinition, history: HistoryDeclaration, statistic: str) -> str:
    groups = _listed(_name(definition, column) for column in history.by)
    same = f"of the same {groups} (half-life {history.half_life})"
    if statistic == "count":
        return f"number of past {plural(definition.row)} {same}"
    of = _name(definition, history.of or definition.task.target)
    of += f" less {_name(definition, history.less)}" if history.less else ""
    return f"{'usual' if statistic == 'mean' else 'spread of'} {of} {same}"


def _inputs(definition: DatasetDefinition) -> str:
    known = _listed(_name(definition, column) for column in definition.features)
    event = definition.event
    parts = _listed(_PARTS[part] for part in definition.calendar_of(event))
    calendar = f", and the {parts} of {_name(definition, event)}" if parts else ""
    past = (
        f" Others are computed from past {plural(definition.row)}, as of the day before."
        if definition.histories
        else ""
    )
    return f"The inputs are {known}{calendar}.{past}"


def _listed(names: Iterable[str]) -> str:
    *first, last = list(dict.fromkeys(names)) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _split(definition: DatasetDefinition, rows: str) -> str:
    if definition.split.by == "time":
        return (
            f"The windows follow each other in time: the {rows} that judge the model are later than"
            " all that trained it."
        )
    if definition.split.by == "group":
        return (
            f"The {rows} were divided at random, with all of the same"
            f" {_groups(definition)} in one window: the groups that judge the model are not among"
            " those that trained it."
        )
    return (
        f"The {rows} were divided at random, so the {rows} that judge the model resemble those that"
        f" trained it. Errors on {rows} of another time or kind may be larger."
    )


def _resampled(definition: DatasetDefinition, rows: str) -> str:
    if definition.time:
        return f"whole hours, because {rows} of the same hour may be alike"
    if definition.split.by == "group":
        return f"all {rows} of the same {_groups(definition)}, because they may be alike"
    return rows


def _dependence(definition: DatasetDefinition) -> str:
    if definition.time:
        return (
            "The confidence intervals treat hours as independent. Where the hours of a day or the"
            " days of a week are alike, the true intervals are wider."
        )
    return "The confidence intervals treat " + (
        "groups as independent of each other."
        if definition.split.by == "group"
        else f"{plural(definition.row)} as independent of each other."
    )


def _groups(definition: DatasetDefinition) -> str:
    return _listed(_name(definition, column) for column in definition.split.group)


def described(definition: DatasetDefinition, row: pd.Series[Any]) -> str:
    """Return the columns of a request with their values, those that are missing left out."""
    shown = []
    for column, declared in definition.request_columns.items():
        value = row.get(column)
        if value is None or value != value:
            continue
        if declared.type == "time":
            text = f"{value:%Y-%m-%d %H:%M}"
        elif declared.type == "number":
            text = f"{value:.10g} {declared.unit}".rstrip()
        elif declared.type == "flag":
            text = "yes" if value else "no"
        else:
            text = str(value)
        shown.append(f"{_name(definition, column)} {text}")
    return ", ".join(shown)
