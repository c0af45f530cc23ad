"""Where trips come from: three sources behind one function, all ending in checked local files."""

from __future__ import annotations

from mlops.data.origins import is_synthetic
from mlops.data.references import Extraction
from mlops.datasets.taxi.sources import path, sample, tlc
from mlops.settings import Settings

_SOURCES = {"sample": sample.fetch, "tlc": tlc.fetch}


def extract(settings: Settings) -> Extraction:
    """Bring the trips asked for within reach and prove each file whole.

    Args:
        settings: ``settings.source`` says which trips; remote files are kept in ``settings.cache``.

    Returns:
        One reference per file, with its hash, bytes and rows.

    Raises:
        SourceError: A month or file is missing, damaged, or not of the TLC's schema, or the
            network failed. Files already in the cache are left as they were.
    """
    source = settings.source
    if source.kind == "path":
        files = path.fetch(source, settings.cache, settings.validation.clock)
    else:
        files = _SOURCES[source.kind](source, settings.cache)
    return Extraction(
        kind=source.kind,
        taxi=source.taxi,
        # Generated files carry a mark, wherever they were copied to.
        synthetic=source.kind == "sample" or any(is_synthetic(file.uri) for file in files),
        files=files,
    )


__all__ = ["extract"]
