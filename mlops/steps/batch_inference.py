"""Steps of `batch_inference`: months of rows become the champion's predictions."""

from __future__ import annotations

from typing import Any

from mlops import progress
from mlops.data.origins import TripOrigin, require_scoring
from mlops.data.references import Extraction
from mlops.datasets.opening import dataset_of
from mlops.inference.batch import score
from mlops.registry.remembered import source_in_force
from mlops.registry.versions import Registry
from mlops.serving.model.compilation import fastest_model
from mlops.settings import DEFAULT_DATASET, Settings, load_settings
from mlops.steps.training import Variables


def load(variables: Variables) -> dict[str, Any]:
    """Fetch the months to predict: ``score_months``, by default the last of the source's months.

    All rows are predicted of files that hold any time.

    The source is the champion's, unless another is given (`mlops.registry.remembered`).

    Returns an `Extraction`.
    """
    found = source_in_force(load_settings(variables, strict=False))
    settings = found.settings
    progress.report(found.summary)
    # Whether the files of a path are generated ones shows in their mark, once they are found.
    if settings.dataset == DEFAULT_DATASET:
        kinds = {"sample": True, "tlc": False}
        _require_fit(settings, settings.source.taxi, kinds.get(settings.source.kind))
    requests = dataset_of(settings).request_files(settings)
    extraction = requests.extract(str(variables.get("score_months") or ""))
    _require_fit(settings, *extraction.origin)
    return extraction.model_dump(mode="json")


def score_trips(extraction: dict[str, Any], variables: Variables) -> dict[str, Any]:
    """Predict every good row with the champion; returns a `PredictionSummary`.

    Raises:
        ConfigurationError: If there is no champion, or it learned from rows of another kind and
            that is not allowed.
    """
    settings = load_settings(variables, strict=False)
    rows = Extraction.model_validate(extraction)
    if rows.taxi:  # whichever the files are of, not what is asked for now
        settings = settings.model_copy(
            update={"source": settings.source.model_copy(update={"taxi": rows.taxi})}
        )
    _require_fit(settings, *rows.origin)
    dataset = dataset_of(settings)
    model, champion = Registry(settings).load("champion")
    dataset.require(model.encoder, champion.version)
    summary = score(
        fastest_model(model, champion.version, sum(file.rows for file in rows.files)),
        rows.files,
        dataset,
        settings,
        model_version=champion.version,
        model_id=champion.model_id,
        run_id=str(variables.get("pipeline_run_id", "editor")),
        synthetic_model=champion.synthetic,
    )
    progress.report("scored", rows=summary.rows, rejected=summary.rejected)
    return {**summary.model_dump(mode="json"), "summary": summary.summary}


def _require_fit(
    settings: Settings, taxi: str, synthetic: bool | None, dataset: str = "taxi"
) -> None:
    """Refuse rows that the champion knows nothing of; ``synthetic`` is None if not known yet."""
    champion = Registry(settings).champion()
    if champion is not None and champion.origin is not None:
        trips = TripOrigin(taxi, champion.synthetic if synthetic is None else synthetic, dataset)
        whose = f"version {champion.version}, the champion,"
        require_scoring(champion.origin, trips, whose, allow=settings.allow_mismatch)
