"""Where two objects first differ, whatever a library made them of: a canonical dump, in order.

Pickled bytes cannot be compared: they depend on who shares an object with whom. So both objects
are walked side by side, through what their own pickling says they consist of, down to numbers and
arrays, which are compared bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

import numpy as np

# What says how a model is to be run or by what it was written, not what it is.
IGNORED: Final = frozenset({"n_jobs", "nthread", "n_threads", "_sklearn_version", "curves_"})
_ATOMS: Final = (str, bytes, type(None), type, FunctionType, BuiltinFunctionType)
_REDUCED: Final = 3  # what __reduce_ex__ returns holds the state in third place


@dataclass(frozen=True)
class Difference:
    """A place in which two objects differ.

    Attributes:
        where: Path to it, e.g. ``estimator.params.seed``.
        stored: What it is in the first object.
        rebuilt: What it is in the second.
        count: Of an array: how many values differ.
        largest: Of numbers: the largest absolute difference.
    """

    where: str
    stored: str
    rebuilt: str
    count: int = 1
    largest: float | None = None

    def __str__(self) -> str:
        more = f" ({self.count:,} values of it differ)" if self.count > 1 else ""
        return f"{self.where}: {self.stored} stored, {self.rebuilt} rebuilt{more}"


def differences(stored: Any, rebuilt: Any, name: str) -> Iterator[Difference]:
    """Walk two objects side by side; yield each place in which they differ, in order.

    Args:
        stored: The one.
        rebuilt: The other.
        name: What to call them in the path.
    """
    yield from _differences(stored, rebuilt, name, frozenset())


def _differences(one: Any, two: Any, where: str, above: frozenset[int]) -> Iterator[Difference]:
    if id(one) in above:  # it holds itself
        return
    above = above | {id(one)}
    one, two = _plain(one), _plain(two)
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        yield from _arrays(one, two, where, above)
    elif type(one) is not type(two) and not (_is_number(one) and _is_number(two)):
        yield Difference(where, _shown(one), _shown(two))
    elif isinstance(one, Mapping):
        for key in (*one, *(key for key in two if key not in one)):
            if key in IGNORED:
                continue
            path = f"{where}.{key}"
            if key not in one or key not in two:
                pair = _shown(one.get(key, "nothing")), _shown(two.get(key, "nothing"))
                yield Difference(path, *pair)
            else:
                yield from _differences(one[key], two[key], path, above)
    elif isinstance(one, set | frozenset):  # which has no order of its own
        yield from _differences(sorted(one, key=repr), sorted(two, key=repr), where, above)
    elif isinstance(one, list | tuple):
        if len(one) != len(two):
            yield Difference(where, f"{len(one)} of them", f"{len(two)} of them")
        for index, (mine, other) in enumerate(zip(one, two, strict=False)):
            yield from _differences(mine, other, f"{where}[{index}]", above)
    elif _is_number(one):
        yield from _arrays(np.asarray(one), np.asarray(two), where, above)
    elif isinstance(one, _ATOMS):
        if one != two:
            yield Difference(where, _shown(one), _shown(two))
    else:
        yield from _differences(_parts(one), _parts(two), where, above)


def _arrays(
    one: np.ndarray[Any, Any], two: np.ndarray[Any, Any], where: str, above: frozenset[int]
) -> Iterator[Difference]:
    if one.dtype != two.dtype or one.shape != two.shape:
        yield Difference(where, f"{one.dtype} {one.shape}", f"{two.dtype} {two.shape}")
    elif one.dtype == object:
        yield from _differences(one.tolist(), two.tolist(), where, above)
    elif one.dtype.names:  # field by field: the bytes between fields mean nothing
        for field in one.dtype.names:
            yield from _arrays(one[field], two[field], f"{where}.{field}", above)
    elif one.tobytes() != two.tobytes():
        yield _array_difference(one, two, where)


def _array_difference(
    one: np.ndarray[Any, Any], two: np.ndarray[Any, Any], where: str
) -> Difference:
    flat = [np.atleast_1d(np.ascontiguousarray(array)).ravel() for array in (one, two)]
    size = one.dtype.itemsize
    bits = [array.view(np.uint8).reshape(-1, size) for array in flat]
    places = np.flatnonzero((bits[0] != bits[1]).any(axis=1))
    first = int(places[0])
    index = [int(i) for i in np.unravel_index(first, one.shape)] if one.ndim else []
    numeric = np.issubdtype(one.dtype, np.number)
    with np.errstate(invalid="ignore"):  # of infinite numbers
        largest = np.nanmax(np.abs(np.subtract(*flat, dtype=np.float64))) if numeric else None
    return Difference(
        where=where + (f"[{', '.join(map(str, index))}]" if index else ""),
        stored=_shown(flat[0][first]),
        rebuilt=_shown(flat[1][first]),
        count=len(places),
        largest=None if largest is None or np.isnan(largest) else float(largest),
    )


def _plain(value: Any) -> Any:
    """Return what is compared in place of a value: trees of a booster, lists of numbers as one."""
    if type(value).__name__ == "Booster" and hasattr(value, "save_raw"):
        # XGBoost's own dump; it writes numbers so that they are read back exactly.
        return json.loads(bytes(value.save_raw("json")))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value):
        kinds = {type(item) for item in value}
        if len(kinds) == 1 and kinds <= {int, float, bool}:
            return np.asarray(value)
    return value


def _parts(value: Any) -> Any:
    """Return what pickling would store of an object."""
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return reduced
    state = reduced[2] if len(reduced) >= _REDUCED else None
    items = [list(part) if part is not None else None for part in reduced[_REDUCED:]]
    made_by = [part for part in reduced[1] if not isinstance(part, type)]
    return {**state, "": made_by} if isinstance(state, dict) else [made_by, state, items]


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.number | np.bool_)


def _shown(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return np.format_float_positional(value, trim="-") if np.isfinite(value) else str(value)
    text = str(value) if _is_number(value) or isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
