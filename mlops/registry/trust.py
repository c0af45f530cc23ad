"""Which artifacts this home trusts: a digest of each model, taken when the project logged it.

A model is a pickle, and loading a pickle runs code. Anybody who can write to MLflow could therefore
run code wherever a model is loaded. So digests are kept in the home, where MLflow cannot write, and
nothing is unpickled whose bytes are not those that were logged. `verified` is the only way to a
registered model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timezone

from mlops.data.references import Reference
from mlops.errors import DamagedFileError, UntrustedArtifactError
from mlops.records.folder import RecordFolder
from mlops.settings import Settings

_WAY_OUT = (
    "restore {path} from a backup, or remove it and trust the version again: mlops adopt VERSION"
)


class TrustedArtifact(Reference):
    """What is known of one artifact.

    Attributes:
        source: Folder of the model, a URI, as MLflow names it.
        sha256: Of the pickled model.
        size: Of the same, in bytes.
        at: When it became known, with time zone.
        by: Who accepted it; empty for a model that was logged from this home.
    """

    source: str
    sha256: str
    size: int
    at: datetime
    by: str = ""


def trust(settings: Settings, source: str, content: bytes, by: str = "") -> TrustedArtifact:
    """Record that an artifact may be loaded.

    Args:
        settings: Name the home.
        source: Folder of the model, a URI, as MLflow names it.
        content: The pickled model.
        by: Who accepts it; empty for a model that is just being logged.
    """
    artifact = TrustedArtifact(
        source=source,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        at=datetime.now(timezone.utc),
        by=by,
    )
    _records(settings).write(_name(source), artifact)
    return artifact


def find_trusted(settings: Settings, source: str) -> TrustedArtifact | None:
    """Return what is known of an artifact, or None.

    Raises:
        DamagedFileError: If the record is damaged.
    """
    found = _records(settings).find(_name(source))
    return found if found and found.source == source else None


def all_trusted(
    settings: Settings, on_damage: Callable[[DamagedFileError], None]
) -> list[TrustedArtifact]:
    """Return what is known of all artifacts; damaged records are handed to ``on_damage``."""
    return _records(settings).all(on_damage=on_damage)


def require_trusted(settings: Settings, source: str) -> TrustedArtifact:
    """Return what is known of an artifact.

    Raises:
        UntrustedArtifactError: If it was neither logged nor accepted here.
        DamagedFileError: If the record is damaged.
    """
    known = find_trusted(settings, source)
    if known is None:
        raise UntrustedArtifactError(
            f"the model at {source} was not logged from this home, so it is not loaded: loading a "
            "model runs code",
            "if you know where it comes from, trust it: mlops adopt VERSION",
        )
    return known


def verified(known: TrustedArtifact, content: bytes) -> bytes:
    """Return an artifact's bytes if they are those that are known.

    Raises:
        UntrustedArtifactError: If they differ.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != known.sha256:
        raise UntrustedArtifactError(
            f"the model at {known.source} is not the one that was logged: its SHA-256 is {digest}, "
            f"recorded is {known.sha256}; it is not loaded",
            "restore the file from a backup, deploy another version, or, if you know who changed "
            "it, trust it: mlops adopt VERSION",
        )
    return content


def _records(settings: Settings) -> RecordFolder[TrustedArtifact]:
    return RecordFolder(settings.registry / "artifacts", TrustedArtifact, _WAY_OUT)


def _name(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:32]
