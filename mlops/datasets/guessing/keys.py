"""Which columns identify a row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops.datasets.guessing.columns import ColumnGuess, words_of
from mlops.datasets.guessing.roles import Note

_NAMED: Final = re.compile(
    r"(?:^|[\W_])(?:id|uuid|guid|key|no|nr|number|code)\W*$|^(?:id|key|index)", re.I
)
_UNIQUE: Final = 0.999  # share of rows that a key identifies
_LONGEST_KEY: Final = 4


def guess_key(
    columns: Mapping[str, ColumnGuess], excluded: Sequence[str], event: str
) -> tuple[tuple[str, ...], Note]:
    """Find the smallest set of columns that identifies a row, or nearly every row.

    Args:
        columns: By name.
        excluded: What a key cannot contain: what is known only afterwards.
        event: Column of the event, if there is one.

    Returns:
        Names; none if no set identifies rows.
    """
    usable = {
        name: each
        for name, each in columns.items()
        if name not in excluded and each.missing == 0 and each.distinct > 1 and _exact(each)
    }
    rows = len(next(iter(columns.values())).values)
    codes = {name: pd.factorize(each.values)[0] for name, each in usable.items()}

    def order(name: str) -> tuple[bool, bool, int]:
        return not _NAMED.search(words_of(name)), name != event, -usable[name].distinct

    singles = [name for name in usable if usable[name].distinct >= _UNIQUE * rows]
    singles = [n for n in singles if usable[n].kind != "time" or usable[n].distinct == rows]
    if singles:
        best = min(singles, key=order)
        whole = usable[best].distinct == rows
        return (best,), Note("its values are unique", "likely" if whole else "check")
    chosen: list[str] = []
    joint = np.zeros(rows, dtype=np.int64)
    distinct = 1
    while distinct < rows and len(chosen) < _LONGEST_KEY:
        sizes = {n: len(np.unique(_joined(joint, c))) for n, c in codes.items() if n not in chosen}
        best = max(sizes, key=lambda n: (sizes[n], -usable[n].distinct), default="")
        if not best or sizes[best] <= distinct:
            break
        chosen.append(best)
        joint, distinct = _joined(joint, codes[best]), sizes[best]
    if distinct < _UNIQUE * rows:
        return (), Note("no set of columns identifies rows", "check")
    for name in [*chosen]:  # a later one may have made an earlier one superfluous
        fewer = [n for n in chosen if n != name]
        joint = np.zeros(rows, dtype=np.int64)
        for each in fewer:
            joint = _joined(joint, codes[each])
        if fewer and len(np.unique(joint)) == distinct:
            chosen = fewer
    shown = "in every row" if distinct == rows else f"in {distinct / rows:.2%} of the rows"
    names = tuple(sorted(chosen, key=[*columns].index))
    return names, Note(f"together different {shown}", "check")


def _exact(each: ColumnGuess) -> bool:
    """Tell whether values can be part of a key: measurements cannot."""
    if each.kind == "number":
        return bool(_NAMED.search(words_of(each.name))) and bool((each.values % 1 == 0).all())
    return each.kind != "flag"


def _joined(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    codes, _ = pd.factorize(left * (int(right.max()) + 1) + right)
    return np.asarray(codes)
