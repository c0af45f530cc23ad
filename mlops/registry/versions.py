"""The model registry: numbered versions, each with its evidence, and the aliases that deploy them.

``champion`` is what answers requests, ``challenger`` what passed the gate last, and
``previous_champion`` what was champion before. The trail of champions (`mlops.registry.trail`)
decides who is champion and where a rollback goes; the aliases in MLflow are copies for people.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import Final, Literal

from mlops.errors import ConfigurationError, GateRefusalError, RegistryError
from mlops.evaluation.results import Evaluation
from mlops.evaluation.verdict import Verdict
from mlops.registry import descriptions
from mlops.registry.catalogue import (
    PROMOTED_AT,
    PROMOTED_BY,
    REASON,
    RECORD_FILE,
    Catalogue,
    Record,
    VersionInfo,
)
from mlops.registry.connection import many_writes, registry_errors
from mlops.registry.receipts import Receipt
from mlops.registry.rollout import Rollout
from mlops.registry.tracking import model_uri
from mlops.registry.trail import (
    CHALLENGER,
    CHAMPION,
    MAX_REASON,
    PASSED,
    PREVIOUS_CHAMPION,
    REFUSED,
    SYNTHETIC,
    VERDICT,
    Promotion,
    require_target,
)
from mlops.registry.trust import require_trusted

_PROMOTED_FROM: Final = "mlops.promoted_from"

__all__ = ["Registry", "VersionInfo"]


class Registry(Catalogue):
    """The versions of one registered model, and which of them is champion."""

    def register(
        self, run_id: str, receipt: Receipt, evaluation: Evaluation, verdict: Verdict
    ) -> int:
        """Make the model of a run the next version, with its evidence.

        It becomes ``challenger`` if the gate let it pass. Registering a run again returns the
        version it has, with the new evidence.

        Args:
            run_id: A finished run that logged a model.
            receipt: Where the model comes from.
            evaluation: On the test window.
            verdict: The gate's.

        Returns:
            The version number.
        """
        model_id = model_uri(self._settings, run_id).removeprefix("models:/")
        record = Record(receipt=receipt, evaluation=evaluation, verdict=verdict)
        with registry_errors(self._settings):
            # Evidence first: a version without it would look as if registered by hand.
            self._client.log_text(run_id, record.model_dump_json(indent=2), RECORD_FILE)
            self._ensure_model()
            version = self._version_of(run_id)
            for key, value in _tags(record).items() if version is not None else ():
                self._client.set_model_version_tag(self._name, str(version), key, value)
            if version is None:
                version = self._client.create_model_version(
                    self._name,
                    # Not the models:/ URI, which MLflow would look up at its process-wide default.
                    self._client.get_logged_model(model_id).artifact_location,
                    run_id,
                    tags=_tags(record),
                    description=verdict.summary,
                    model_id=model_id,
                ).version
            if verdict.passed:
                self._client.set_registered_model_alias(self._name, CHALLENGER, str(version))
        return int(version)

    def promote(self, version: int | str, reason: str, by: str) -> Promotion:
        """Make a version the champion; the one it replaces stays named ``previous_champion``.

        Promoting the champion changes nothing. It has happened once its record is written to the
        trail: a crash at any point leaves the old or the new champion, and calling again completes
        the work.

        Args:
            version: A number or an alias.
            reason: Why, for the record.
            by: Who or what decided.

        Raises:
            GateRefusalError: If the gate refused this version.
            ConfigurationError: If there is no such version.
            UntrustedArtifactError: If its model was neither logged nor accepted here.
        """
        return self._move(self.require(version), reason, by, "promotion")

    def rollback(self, reason: str, by: str, to: int | None = None) -> Promotion:
        """Restore the champion before the last promotion, or the one named.

        A rollback is not undone by another: after one, say where ``to``.

        Args:
            reason: Why, for the record.
            by: Who or what decided.
            to: A former champion; if it is champion already nothing changes.

        Raises:
            ConfigurationError: If there is nothing to restore, or ``to`` never was champion.
        """
        return self._move(self.require(self.rollback_target(to)), reason, by, "rollback")

    def rollback_target(self, to: int | None = None) -> int:
        """Return the version that `rollback` would restore; raises what it raises."""
        with registry_errors(self._settings):
            found = self._client.search_model_versions(f"name = '{self._name}'")
        tags = {int(version.version): version.tags for version in found}
        return require_target(self.trail(), tags, to)

    def can_roll_back(self) -> bool:
        """Tell whether a rollback that names no version would find one."""
        with contextlib.suppress(ConfigurationError, RegistryError):
            return bool(self.rollback_target())
        return False

    def trail(self) -> tuple[Promotion, ...]:
        """Return every change of the champion, newest first."""
        return self._trail.here(self._source)

    def previous(self) -> VersionInfo | None:
        """Return the champion before the present one, or None."""
        return self.get(PREVIOUS_CHAMPION)

    def mend_aliases(self) -> None:
        """Let the aliases name what the trail says, should a crash or a stranger have moved them.

        A stranger's champion is left alone where there is none of ours: nobody acts on it.
        """
        last = self._promotion()
        if last is not None:
            self._set_aliases(last)

    def _move(
        self, chosen: VersionInfo, reason: str, by: str, kind: Literal["promotion", "rollback"]
    ) -> Promotion:
        if chosen.verdict and not chosen.verdict.passed:
            raise GateRefusalError(
                f"version {chosen.version} cannot become champion: {chosen.verdict.summary}",
                "train a better candidate, or change the gate's limits and judge it again",
            )
        require_trusted(self._settings, chosen.source)
        done = self._promotion()
        champion = done.version if done else None
        if done and champion == chosen.version:
            self._set_aliases(done)  # a crash may have left them naming another
        else:
            done = Promotion(
                version=chosen.version,
                source=chosen.source,
                previous=champion,
                at=datetime.now(timezone.utc),
                reason=reason[:MAX_REASON],
                by=by,
                kind=kind,
            )
            done = self._write(done)
        self._drop_challenger(chosen.version)
        return done

    def _write(self, move: Promotion) -> Promotion:
        """Write what people read in MLflow's pages, then the trail; then move the aliases."""
        tags = {
            REASON: move.reason,
            PROMOTED_BY: move.by,
            _PROMOTED_FROM: str(move.previous or ""),
            PROMOTED_AT: move.at.isoformat(),
        }
        with registry_errors(self._settings), many_writes(self._settings):
            for key, value in tags.items():
                self._client.set_model_version_tag(self._name, str(move.version), key, value)
            move = self._trail.append(move)
            self._set_aliases(move)
        return move

    def rollout(self) -> Rollout | None:
        """Return the canary or shadow in force, or None.

        One that has expired is none, nor is one of another registry's version of that number.
        """
        found = self._trail.rollout()
        is_here = found is None or found.model_id in ("", self._model_id(found.version))
        return found if is_here else None

    def standing(self) -> tuple[int | None, Rollout | None, str]:
        """Return the champion's version, the rollout in force, and what is wrong with the alias."""
        stray = self.stray_alias()
        return self.champion_version(), self.rollout(), stray.in_one_line if stray else ""

    def start_rollout(self, rollout: Rollout) -> None:
        """Let servers give a version a share of the requests; replaces the rollout in force."""
        info = self.require(rollout.version)
        require_trusted(self._settings, info.source)
        self._trail.start_rollout(rollout.model_copy(update={"model_id": info.model_id}))

    def end_rollout(self) -> None:
        """End the rollout in force, if any."""
        self._trail.end_rollout()

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(
                self._name, description=descriptions.model_description(self._settings)
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _version_of(self, run_id: str) -> int | None:
        found = self._client.search_model_versions(f"name = '{self._name}' and run_id = '{run_id}'")
        return max((int(version.version) for version in found), default=None)

    def _set_aliases(self, last: Promotion) -> None:
        with registry_errors(self._settings):
            for alias, version in (
                (PREVIOUS_CHAMPION, last.previous),
                (CHAMPION, last.version),
            ):
                if self._alias(alias) == version:
                    continue
                if version is not None:
                    self._client.set_registered_model_alias(self._name, alias, str(version))
                else:
                    self._client.delete_registered_model_alias(self._name, alias)

    def _drop_challenger(self, version: int) -> None:
        if self._number(CHALLENGER) == version:
            with registry_errors(self._settings):
                self._client.delete_registered_model_alias(self._name, CHALLENGER)


def _tags(record: Record) -> dict[str, str]:
    """Return what a person wants to see in the list of versions."""
    metrics = record.evaluation.metrics
    return {
        "mlops.family": record.receipt.family,
        "mlops.rmse": f"{metrics.rmse:.4f}",
        "mlops.mae": f"{metrics.mae:.4f}",
        VERDICT: PASSED if record.verdict.passed else REFUSED,
        "mlops.data_hash": record.receipt.data_hash,
        "mlops.code_commit": record.receipt.code_commit,
        SYNTHETIC: str(record.receipt.synthetic).lower(),
    }
