"""The request behind the training set in use: kept beside it, written with it.

The name of a training set is the hash of its content, and the same content may come from different
requests. Whether a request is answered already is therefore not the manifest's to tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from mlops import fingerprints
from mlops.data.references import Reference, SourceFile
from mlops.data.store.manifests import RECIPE, TRAINING_SETS, current_hash
from mlops.errors import DamagedFileError
from mlops.records.digests import sha256_of
from mlops.records.files import find_or_report, write_record
from mlops.settings import ALIASES, Settings, is_setting

# Where the code lies that turns source files into a training set.
CODE: Final = ("data", "datasets")
PUBLICATION_WAY_OUT: Final = "build the training set again, which writes {path} anew: mlops run"


class Publication(Reference):
    """How the training set in use came to be."""

    training_set: str  # hash of its content
    recipe: dict[str, dict[str, Any]]  # settings it was made by, by section
    code: str  # hash of the code that made it
    files: dict[str, str]  # source files, by place: the hash of their bytes
    published_at: datetime


def remember(
    sha256: str, files: Iterable[SourceFile], settings: Settings, definitions: Iterable[Path] = ()
) -> None:
    """Write down what the training set that has just been published was asked by.

    Args:
        sha256: Of the training set.
        files: That its rows are from.
        settings: It was built by.
        definitions: Other files that decided what is in it.
    """
    defined = {str(path): sha256_of(path) for path in definitions}
    publication = Publication(
        training_set=sha256,
        recipe=_recipe(settings),
        code=fingerprints.of_code(*CODE),
        files={file.uri: file.sha256 for file in files} | defined,
        published_at=datetime.now(timezone.utc),
    )
    write_record(publication_file(settings), publication)


def last_publication(settings: Settings) -> Publication | None:
    """Return what the training set in use was asked by; ``None`` when that is not known."""
    found = find_or_report(publication_file(settings), Publication, PUBLICATION_WAY_OUT)
    try:
        return found if found and found.training_set == current_hash(settings) else None
    except DamagedFileError:
        return None


def reason_to_build(settings: Settings) -> str:
    """Say why the training set in use does not answer a request; empty when it does.

    Its age does not count here.
    """
    try:
        if current_hash(settings) is None:
            return "first build"
    except DamagedFileError as error:
        return error.message
    last = last_publication(settings)
    if last is None:
        return "the inputs of the training set in use are unknown"
    asked = _recipe(settings)
    changed = [
        f"{section}.{name}"
        for section, values in asked.items()
        for name, value in values.items()
        if (before := last.recipe.get(section, {})).get(name) != value or name not in before
    ]
    if changed:
        return f"the request changed: {', '.join(changed)}"
    if last.code != fingerprints.of_code(*CODE):
        return "the code that prepares the data changed"
    mended = [uri for uri, sha256 in last.files.items() if _differs(uri, sha256)]
    return f"source files changed: {', '.join(mended)}" if mended else ""


def recipe_in_force(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables for a run that builds the training set anew, as it was built last.

    Args:
        settings: What the environment gives explicitly wins over the last build.
        given: Variables that win over both; they are passed on.
    """
    last = last_publication(settings)
    before = {
        name: value
        for section, values in (last.recipe if last else {}).items()
        for leaf, value in values.items()
        if is_setting(name := f"{section}.{leaf}")
        and leaf not in getattr(settings, section).model_fields_set
    }
    return before | {ALIASES.get(name, name): value for name, value in given.items()}


def _recipe(settings: Settings) -> dict[str, dict[str, Any]]:
    return {name: getattr(settings, name).model_dump(mode="json") for name in RECIPE}


def _differs(uri: str, sha256: str) -> bool:
    """Tell whether a file of this machine has other bytes now; one that is away tells nothing."""
    path = Path(uri)
    return path.is_file() and sha256_of(path) != sha256


def publication_file(settings: Settings) -> Path:
    """Return the file that says what the training set in use was asked by."""
    return settings.store / TRAINING_SETS / "request.json"
