"""What is in the model registry: versions with their evidence, found by number or alias.

Of the aliases, ``champion`` and ``previous_champion`` are read from the home's trail, never from
MLflow, where anybody who reaches its server can set them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from mlops.data.origins import TripOrigin
from mlops.data.references import Reference
from mlops.errors import ConfigurationError, RegistryError, UntrustedArtifactError
from mlops.evaluation.results import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.registry.connection import connect, ensure_tracking, registry_errors
from mlops.registry.lookup import stray_alias
from mlops.registry.models import accept_folder, find_logged, load_folder
from mlops.registry.receipts import Receipt
from mlops.registry.standing import StoredVersion, model_id_of
from mlops.registry.trail import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS_CHAMPION,
    Promotion,
    Trail,
    true_aliases,
)
from mlops.registry.trust import TrustedArtifact, find_trusted
from mlops.settings import Settings

if TYPE_CHECKING:
    from mlops.training.artifact import TabularModel

RECORD_FILE: Final = "registration.json"
PROMOTED_AT: Final = "mlops.promoted_at"
PROMOTED_BY: Final = "mlops.promoted_by"
REASON: Final = "mlops.promotion_reason"


class Record(Reference):
    """The evidence kept with a version."""

    receipt: Receipt
    evaluation: Evaluation
    verdict: Verdict


class VersionInfo(Reference):
    """One version of the model."""

    version: int
    aliases: tuple[str, ...]
    run_id: str
    source: str  # folder of the model, a URI
    created_at: datetime
    promoted_at: datetime | None  # when it last became champion
    promotion_reason: str
    promoted_by: str
    # The evidence it was registered with; None if somebody registered it by hand.
    receipt: Receipt | None
    evaluation: Evaluation | None
    verdict: Verdict | None

    @property
    def origin(self) -> TripOrigin | None:
        """Which rows it learned from; None if nobody knows."""
        return self.receipt.origin if self.receipt else None

    @property
    def synthetic(self) -> bool:
        """Whether it is known to have learned from generated rows."""
        return self.receipt is not None and self.receipt.synthetic

    @property
    def title(self) -> str:
        """Its number, and that it is synthetic if it is."""
        mark = " (learned from synthetic rows)" if self.synthetic else ""
        return f"version {self.version}{mark}"

    @property
    def model_id(self) -> str:
        """What tells its model from every other one: see `standing.model_id_of`."""
        return model_id_of(self.source, self.run_id)


def version_info(
    number: int, stored: StoredVersion, aliases: Mapping[str, int], record: Record | None
) -> VersionInfo:
    """Return what is known of a version; ``aliases`` are those of all (`trail.true_aliases`)."""
    tags = stored.tags
    promoted_at = tags.get(PROMOTED_AT)
    return VersionInfo(
        version=number,
        aliases=tuple(sorted(alias for alias, named in aliases.items() if named == number)),
        run_id=stored.run_id,
        source=stored.source,
        created_at=datetime.fromtimestamp(stored.created_ms / 1_000, timezone.utc),
        promoted_at=datetime.fromisoformat(promoted_at) if promoted_at else None,
        promotion_reason=tags.get(REASON, ""),
        promoted_by=tags.get(PROMOTED_BY, ""),
        receipt=record and record.receipt,
        evaluation=record and record.evaluation,
        verdict=record and record.verdict,
    )


class Catalogue:
    """The versions of one registered model.

    Args:
        settings: Name the model and say where the registry is.

    Raises:
        RegistryError: If the registry cannot be reached, here or in any method.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = settings.tracking.model_name
        self._trail = Trail(settings)
        ensure_tracking(settings)
        self._client = connect(settings)

    def champion(self) -> VersionInfo | None:
        """Return the version that answers requests, or None before the first promotion."""
        return self.get(CHAMPION)

    def champion_version(self) -> int | None:
        """Return the number of the champion without its evidence: one query."""
        return self._number(CHAMPION)

    def stray_alias(self) -> RegistryError | None:
        """Return what is wrong with the alias ``champion`` in MLflow, or None."""
        last = self._promotion()
        return stray_alias(self._settings, self._alias(CHAMPION), self._source, last)

    def challenger(self) -> VersionInfo | None:
        """Return the version that passed the gate last and awaits promotion, or None."""
        return self.get(CHALLENGER)

    def get(self, version: int | str) -> VersionInfo | None:
        """Return a version by number or alias, or None if there is no such one."""
        number = version if str(version).isdigit() else self._number(str(version))
        # By number, because MLflow leaves the aliases out of the answer by alias.
        found = self._version(number) if number else None
        if found is None:
            return None
        aliases = dict.fromkeys(found.aliases, int(found.version))
        return self._info(found, true_aliases(aliases, self._promotion()))

    def _number(self, alias: str) -> int | None:
        if alias not in (CHAMPION, PREVIOUS_CHAMPION):
            return self._alias(alias)
        last = self._promotion()
        return last.aliases.get(alias) if last else None

    def _alias(self, name: str) -> int | None:
        """Return the version that an alias names in MLflow."""
        found = self._found(self._client.get_model_version_by_alias, name)
        return int(found.version) if found else None

    def _promotion(self) -> Promotion | None:
        """Return the last promotion, if the registry still has the version that was promoted."""
        return self._trail.in_force(self._source)

    def _source(self, number: int) -> str | None:
        """Return the source of a version's model; None if there is no such version."""
        return getattr(self._version(number), "source", None)

    def _model_id(self, number: int) -> str | None:
        """Return what tells a version's model from every other one; None without such a version."""
        found = self._version(number)
        return model_id_of(found.source, found.run_id or "") if found else None

    def _version(self, number: int | str) -> Any:
        """Return a version as MLflow has it, or None."""
        return self._found(self._client.get_model_version, str(number))

    def _found(self, look_up: Callable[[str, str], Any], name: str) -> Any:
        """Ask MLflow for one version; None if there is no such one."""
        from mlflow.exceptions import MlflowException

        with registry_errors(self._settings):
            try:
                return look_up(self._name, name)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def versions(self) -> tuple[VersionInfo, ...]:
        """Return all versions, newest first."""
        with registry_errors(self._settings):
            found = self._client.search_model_versions(f"name = '{self._name}'", max_results=10_000)
        # MLflow leaves the aliases out of a search for versions.
        in_mlflow = {a: int(v) for model in self._models() for a, v in model.aliases.items()}
        aliases = true_aliases(in_mlflow, self._promotion())
        infos = (self._info(version, aliases) for version in found)
        return tuple(sorted(infos, key=lambda info: info.version, reverse=True))

    def stand(self) -> tuple[Any, ...]:
        """Return what differs whenever a version, an alias or the trail has changed; one query."""
        return self._trail.stamp(), *(
            (m.last_updated_timestamp, sorted(m.aliases.items()), sorted(m.tags.items()))
            for m in self._models()
        )

    def load(self, version: int | str = CHAMPION) -> tuple[TabularModel, VersionInfo]:
        """Load a version's model.

        Raises:
            ConfigurationError: If there is no such version.
            RegistryError: If its files are gone.
            UntrustedArtifactError: If the model is not the one that was logged from this home.
        """
        info = self.require(version)
        try:
            return load_folder(self._settings, info.source), info
        except UntrustedArtifactError as error:
            hint = error.hint.replace("VERSION", str(info.version))
            raise UntrustedArtifactError(error.message, hint) from error
        except RegistryError as error:
            raise RegistryError(
                f"version {info.version}: its files cannot be read: {error.message}",
                f"restore {info.source}, or let another version serve: mlops deploy VERSION "
                "(mlops models lists them)",
            ) from error

    def is_trusted(self, info: VersionInfo) -> bool:
        """Tell whether a version's model was logged from this home, or accepted here."""
        return find_trusted(self._settings, info.source) is not None

    def adopt(self, version: int | str, by: str) -> TrustedArtifact:
        """Trust a version's model as it is now; nothing is loaded, nothing else is changed.

        For versions from before digests were kept, from another home, or registered by hand.

        Args:
            version: A number or an alias.
            by: Who knows where it comes from.

        Raises:
            ConfigurationError: If there is no such version.
            RegistryError: If its files are gone.
        """
        return accept_folder(self._settings, self.require(version).source, by)

    def require(self, version: int | str) -> VersionInfo:
        """Return a version by number or alias.

        Raises:
            ConfigurationError: If there is no such one.
            RegistryError: If the champion is asked for, and its alias names another version.
        """
        info = self.get(version)
        if info is None and version == CHAMPION:
            raise self.stray_alias() or ConfigurationError(
                f"the model {self._name} has no champion",
                "deploy a version (mlops models lists them): mlops deploy VERSION; "
                "or train one: mlops run",
            )
        if info is None:
            raise ConfigurationError(
                f"the model {self._name} has no version {version!r}",
                "list the versions with: mlops models",
            )
        return info

    def _models(self) -> Sequence[Any]:
        """Return the registered model as MLflow has it; none before the first registration."""
        with registry_errors(self._settings):
            found: Sequence[Any] = self._client.search_registered_models(f"name = '{self._name}'")
        return found

    def _info(self, found: Any, aliases: Mapping[str, int]) -> VersionInfo:
        run_id = found.run_id or ""
        stored = StoredVersion(run_id, found.source, found.creation_timestamp, found.tags)
        record = find_logged(self._client, run_id, RECORD_FILE, Record)
        return version_info(int(found.version), stored, aliases, record)
