"""Which rows a model learned from and which it is asked about: real or synthetic, of which dataset.

A model says nothing of another dataset's rows or another taxi's trips, and one that learned from
generated rows says nothing of real ones. Only this setting permits it: `Settings.allow_mismatch`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from mlops.errors import ConfigurationError, MlopsError

ALLOW: Final = "allow_mismatch"  # the setting and run-time variable
_MARKED_ROWS: Final = 10_000  # in which at least one says that it is synthetic
_ALLOW_HINT: Final = f"to allow it anyway: --allow-mismatch, or the variable {ALLOW}=true"


class TripOrigin(NamedTuple):
    """Where rows come from, as far as it decides what a model is worth."""

    taxi: str  # empty for every other dataset
    synthetic: bool
    dataset: str = "taxi"

    def __str__(self) -> str:
        if self.taxi:
            return f"{'synthetic' if self.synthetic else 'real'} trips of {self.taxi} taxis"
        # Of other tables nobody knows where they come from.
        return f"{'synthetic ' if self.synthetic else ''}rows of {self.dataset}"

    def is_of(self, other: TripOrigin) -> bool:
        """Tell whether both are of the same dataset and taxi, real or synthetic."""
        return (self.dataset, self.taxi) == (other.dataset, other.taxi)


class Replacement(NamedTuple):
    """Whether a model may replace one that learned from other trips, and why."""

    allowed: bool
    why: str


def require_scoring(learned: TripOrigin, trips: TripOrigin, whose: str, *, allow: bool) -> None:
    """Refuse to score trips that a model knows nothing of.

    Args:
        learned: What the model learned from.
        trips: What it is asked about.
        whose: Names the model in the message, e.g. ``version 3``.
        allow: `Settings.allow_mismatch`.

    Raises:
        ConfigurationError: Unless allowed, if they are of different datasets or taxis, or only the
            model is synthetic.
    """
    unfit = not learned.is_of(trips) or (learned.synthetic and not trips.synthetic)
    if unfit and not allow:
        train = (
            f"train on such trips first: mlops run --source tlc --taxi {trips.taxi}"
            if trips.taxi
            else f"train on such rows first: mlops run --dataset {trips.dataset}"
        )
        raise ConfigurationError(
            f"{whose} learned from {learned} and cannot predict {trips}",
            f"{train}; {_ALLOW_HINT}",
        )


def replacement(
    challenger: TripOrigin, champion: TripOrigin | None, *, allow: bool
) -> Replacement | None:
    """Tell whether a model may replace the champion although they learned from different trips.

    Args:
        challenger: What the new model learned from.
        champion: What the champion learned from; None if there is none, or if nobody knows.
        allow: `Settings.allow_mismatch`.

    Returns:
        None if the two can be compared. A model of real trips may replace one of synthetic trips;
        everything else needs the permission.
    """
    if champion is None or challenger == champion:
        return None
    differ = f"the model learned from {challenger}, the champion from {champion}"
    if challenger.is_of(champion) and champion.synthetic:
        return Replacement(True, f"{differ}: it is replaced without a comparison")
    if allow:
        return Replacement(True, f"{differ}: allowed by {ALLOW}, without a comparison")
    return Replacement(False, f"{differ}, which needs --allow-mismatch")


def is_synthetic(file: str | Path) -> bool:
    """Tell whether a local file carries the mark of generated trips.

    Parquet has it in its metadata; copies in other formats have it in the rows, of which the first
    are looked at.
    """
    import pyarrow.parquet as pq  # here, because commands that only look start without it

    from mlops.data.files.tables import open_table
    from mlops.datasets.taxi.sample.schema import MARK_IN_ROWS, MARKED_COLUMN, SYNTHETIC_MARK

    with suppress(OSError, ValueError):  # another format
        metadata: dict[bytes, bytes] = pq.read_schema(file).metadata or {}
        if all(metadata.get(key) == value for key, value in SYNTHETIC_MARK.items()):
            return True
    with suppress(MlopsError), open_table(file) as table:  # the reader of the trips reports why
        places = [n for n, (name, _) in enumerate(table.fields) if name == MARKED_COLUMN]
        for rows in table.batches(places[:1], _MARKED_ROWS) if places else ():
            return bool({MARK_IN_ROWS, MARK_IN_ROWS.encode()} & {*rows.column(0).to_pylist()})
    return False
