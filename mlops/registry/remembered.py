"""The source in force: what follows a training uses the source of the champion.

A folder given to a training need not be named again for monitoring, retraining, batches or replays.
So the settings of the champion's training set, kept in its receipt, stand in for every setting of
the source that nobody has given explicitly: by option, run-time variable or environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from mlops.data.store.manifests import current_training_set
from mlops.errors import ConfigurationError
from mlops.registry.listing import find_version
from mlops.registry.trail import CHAMPION
from mlops.settings import DEFAULT_DATASET, Settings, SourceSettings


class SourceInForce(NamedTuple):
    """The configuration with the source in force, and where that comes from."""

    settings: Settings
    summary: str  # for people: which source, and why this one

    @property
    def source(self) -> SourceSettings:
        """The source itself."""
        return self.settings.source

    def overrides(self, asked: Settings) -> dict[str, Any]:
        """Return what a run must be given to use this source, where ``asked`` differs from it."""
        before, now = (s.source.model_dump(mode="json") for s in (asked, self.settings))
        return {f"source.{name}": value for name, value in now.items() if value != before[name]}


def remember(asked: SourceSettings, learned: Mapping[str, Any]) -> SourceSettings:
    """Complete a source by what a training set was made from; what was given explicitly wins.

    Args:
        asked: The source as configured; knows which of its settings were given explicitly.
        learned: The settings of a training set's source, by name. Names that are no settings any
            more are left out.

    Raises:
        ConfigurationError: If the remembered settings are not valid any more.
    """
    explicit = asked.model_dump(include=asked.model_fields_set)
    known = {name: learned[name] for name in SourceSettings.model_fields if name in learned}
    try:
        return SourceSettings.model_validate({**known, **explicit})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"the champion's training set was built with source.{name}={first.get('input')!r}, "
            "which is no longer accepted",
            f"name the source explicitly, e.g. --set source.{name}=VALUE",
        ) from error


def source_in_force(settings: Settings) -> SourceInForce:
    """Return the configuration with the champion's source, where no other was given explicitly.

    Without a champion, the training set published last takes its place; without either, the
    source is the one configured.

    Raises:
        ConfigurationError: If the remembered source is not valid any more.
        RegistryError: If the registry cannot be read.
    """
    asked = settings.source
    if set(SourceSettings.model_fields) <= asked.model_fields_set:
        return SourceInForce(settings, f"source: {described(settings)}, as given")
    learned, whose = _learned(settings)
    if not learned:
        return SourceInForce(settings, f"source: {described(settings)}, as configured")
    found = settings.model_copy(update={"source": remember(asked, learned)})
    given = asked.model_dump(include=asked.model_fields_set)
    changed = sorted(name for name, value in given.items() if value != learned.get(name))
    but = f", but for {', '.join(changed)} as given" if changed else ""
    return SourceInForce(found, f"source: {described(found)}, {whose}{but}")


def described(settings: Settings) -> str:
    """Describe a source in a few words."""
    source = settings.source
    if settings.dataset != DEFAULT_DATASET:
        return (
            f"{settings.dataset} ({source.location or 'files of its definition'}), {source.months}"
        )
    where = {"sample": "synthetic trips", "tlc": source.base_url, "path": source.location}
    return f"{source.kind} ({where[source.kind]}), {source.taxi} taxi, {source.months}"


def months_learned(settings: Settings) -> tuple[str, ...]:
    """Return the months of a source that are not new any more; none if nobody learned from it.

    Any dataset but the taxi has one source, wherever its files lie.

    The training set published last counts, whether its model became champion or was refused; if
    that comes from another source, the champion's does.

    Args:
        settings: With the source in force.
    """
    wanted = settings.source
    only = settings.dataset != DEFAULT_DATASET  # which has no kinds of sources
    manifest = current_training_set(settings)
    if manifest is not None:
        in_use = manifest.extraction
        if only or (in_use.kind, in_use.taxi) == (wanted.kind, wanted.taxi):
            return in_use.months
    champion = find_version(settings, CHAMPION)
    if champion is None or champion.receipt is None:
        return ()
    learned = champion.receipt.recipe.get("source", {})
    if not only and (learned.get("kind"), learned.get("taxi")) != (wanted.kind, wanted.taxi):
        return ()
    return tuple(sorted({file.month for file in champion.receipt.sources}))


def _learned(settings: Settings) -> tuple[Mapping[str, Any], str]:
    champion = find_version(settings, CHAMPION)
    if champion is not None and champion.receipt is not None:
        recipe = champion.receipt.recipe.get("source", {})
        return recipe, f"as version {champion.version}, the champion, learned from"
    manifest = current_training_set(settings)
    recipe = manifest.recipe.get("source", {}) if manifest else {}
    return recipe, "as the training set in use"
