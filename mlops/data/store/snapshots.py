"""The store of data products: immutable folders named by the hash of their content.

A product is built beside its final place and renamed into it, so it exists whole or not at all,
and the product published before it stays as it was. The same content is the same folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops.counting import counted
from mlops.data.references import FeatureTable, TrainingSetManifest, TripPart, Window
from mlops.data.store.content import (
    STAGED_ANEW,
    column_types,
    read_canonical,
    values_sha256,
)
from mlops.data.store.manifests import (
    CURRENT,
    MANIFEST,
    QUARANTINE,
    RECIPE,
    TRAINING_SETS,
    load_manifest,
    located,
    quality_at,
)
from mlops.data.store.windows import (
    WindowName,
    assigned_windows,
    filter_of,
    is_assigned,
    planned_windows,
)
from mlops.data.windows import plan_windows
from mlops.errors import DamagedFileError, DataQualityError, MlopsError
from mlops.records.atomic import atomic_folder
from mlops.records.files import damaged, write_pointer, write_record
from mlops.records.parquet import read_table, write_table
from mlops.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

# Measured on a month of green trips with 23 columns: zstd without dictionaries is the smallest
# (3.5 MB; lz4 4.2, with dictionaries 4.9 and more) and loads as fast as lz4, in 6 to 8 ms.
_PARQUET: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": False,
    "row_group_size": 65_536,  # small enough that a window skips most of a large month
}


def publish_training_set(
    table: FeatureTable, settings: Settings, code_commit: str
) -> TrainingSetManifest:
    """Publish a feature table as an immutable snapshot and make it the current training set.

    The hash covers the values (in canonical order, so neither the order of files or rows nor the
    layout of parquet matters), the column types, the windows, the source and the version of the
    features. Content published before is verified and returned with the manifest it has.

    Args:
        table: Parts staged by month. Where rows have a column `split`, it says to which window each
            belongs.
        settings: `settings.windows` divides the time otherwise; `settings.store` is where products
            live.
        code_commit: The commit of the code that built it.

    Raises:
        ConfigurationError: If the windows do not fit the months.
        DataQualityError: If no row belongs to one of the windows.
    """
    parts = sorted(table.parts, key=lambda part: part.month)
    columns = column_types(parts[0].uri)
    if is_assigned(columns):
        windows = assigned_windows(parts, table.event)
    else:
        planned = plan_windows([part.month for part in parts], settings.windows)
        windows = planned_windows(parts, table.event, planned)
    sha256 = _content_sha256(parts, windows, table)
    folder = settings.store / TRAINING_SETS / sha256
    manifest = TrainingSetManifest(
        sha256=sha256,
        uri=str(folder),
        rows=sum(part.rows for part in parts),
        columns=columns,
        parts=located(parts, folder),
        train=windows["train"],
        validation=windows["validation"],
        test=windows["test"],
        extraction=table.extraction,
        quality=quality_at(table.quality, folder),
        feature_version=table.feature_version,
        target=table.target,
        event=table.event,
        code_commit=code_commit,
        created_at=datetime.now(timezone.utc),
        recipe={name: getattr(settings, name).model_dump(mode="json") for name in RECIPE},
    )

    def write(temporary: Path) -> None:
        for part in parts:
            rows = read_canonical(part.uri, table.event)
            write_table(rows, temporary / f"part-{part.month}.parquet", **_PARQUET)
        if table.quality.quarantine_uri:
            shutil.copytree(table.quality.quarantine_uri, temporary / QUARANTINE)
        write_record(temporary / MANIFEST, manifest)

    publish_folder(TRAINING_SETS, sha256, write, settings, intact=_is_intact)
    return load_manifest(folder)


def publish_folder(
    product: str,
    sha256: str,
    write: Callable[[Path], None],
    settings: Settings,
    intact: Callable[[Path], bool] = Path.is_dir,
) -> Path:
    """Publish ``<store>/<product>/<sha256>/`` unless it is there, and make it the current one.

    Args:
        product: Folder of the product in the store.
        sha256: Hash of the content, or of all that determines it.
        write: Writes the content into the folder it is given.
        settings: The store.
        intact: Tells whether what is already there can stay; otherwise it is written anew.

    Returns:
        The folder of the published product.
    """
    folder = settings.store / product / sha256
    if not (folder.is_dir() and intact(folder)):
        atomic_folder(folder, write)
    write_pointer(folder.parent / CURRENT, sha256)
    return folder


def read_window(
    manifest: TrainingSetManifest,
    window: WindowName,
    *more: WindowName,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read the rows of one or more windows; what lies outside of them is not decoded.

    Args:
        manifest: The training set.
        window: ``train``, ``validation`` or ``test``.
        *more: Windows to read with it.
        columns: Columns to read, in that order; by default all.

    Returns:
        The rows, sorted by their event within each month.

    Raises:
        DamagedFileError: If a part is gone or damaged.
    """
    inside = filter_of(manifest, (window, *more))
    paths = [part.uri for part in manifest.parts]
    frame: pd.DataFrame = read_table(paths, STAGED_ANEW, columns, inside).to_pandas()
    return frame


def verify(manifest: TrainingSetManifest) -> None:
    """Prove that a snapshot still holds what its name says, and the rows that were set aside.

    Raises:
        DataQualityError: If a file is missing, damaged or changed.
    """
    try:
        _require_set_aside(manifest)
        found = _content_sha256(manifest.parts, manifest.windows, manifest)
        why = "" if found == manifest.sha256 else f"its content hashes to {found}"
    except DamagedFileError as error:
        why = error.message
    if why:
        raise DataQualityError(
            f"{manifest.uri}: the training set is damaged: {why}",
            "delete this folder and build it again with: mlops run --rebuild",
        )


def _require_set_aside(manifest: TrainingSetManifest) -> None:
    quality = manifest.quality
    if not quality.quarantine_uri:
        return
    folder = Path(quality.quarantine_uri)
    rows = sum(read_table(file, STAGED_ANEW).num_rows for file in sorted(folder.glob("*.parquet")))
    if rows != quality.rows_quarantined:
        why = f"it holds {counted(rows, 'row')} set aside, not {quality.rows_quarantined:,}"
        raise damaged(folder, why, STAGED_ANEW)


def _is_intact(folder: Path) -> bool:
    try:
        verify(load_manifest(folder))
    except MlopsError:
        return False
    return True


def _content_sha256(
    parts: Sequence[TripPart],
    windows: Mapping[str, Window],
    about: FeatureTable | TrainingSetManifest,
) -> str:
    extraction, event = about.extraction, about.event
    content: dict[str, Any] = {
        "parts": {part.month: values_sha256(read_canonical(part.uri, event)) for part in parts},
        "windows": {n: [_text(w.start), _text(w.end)] for n, w in windows.items()},
        "source": [extraction.kind, extraction.taxi, extraction.synthetic],
        "feature_version": about.feature_version,
    }
    if not extraction.taxi:
        content["dataset"] = [extraction.dataset, about.target, event]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
