"""Global data products in Mage's tables. Import only after `environment.boot`.

Mage counts only the runs of one hidden trigger as builds of a product. Here every run of the
product's pipeline is one, no matter what started it: the command line, a POST, a person, a
schedule, the main job, or a consumer that found the product outdated. A build counts only for the
dataset that it was made for, and only as long as that dataset's store names what it published: the
store's word is what `mlops status` and the dashboards show.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.settings.repo import get_repo_path
from sqlalchemy import func

from mlops.data.store.manifests import current_hash
from mlops.errors import ConfigurationError, DamagedFileError
from mlops.orchestration.products import children
from mlops.orchestration.runs import outcomes
from mlops.orchestration.runs.datasets import dataset_named
from mlops.orchestration.runs.liveness import has_driver
from mlops.orchestration.runs.lock import DECISION_SECONDS, HomeLock
from mlops.orchestration.runs.naming import product_lock
from mlops.orchestration.runs.tables import IN_PROGRESS, RunStatus
from mlops.settings import Settings

# How many builds are looked at for one that the store agrees with: an older one was replaced.
BUILDS_LOOKED_AT = 20


def load_product(name: str) -> GlobalDataProduct:
    """Load a global data product's definition.

    Raises:
        ConfigurationError: If ``global_data_products.yaml`` does not name it.
    """
    product = GlobalDataProduct.get(name)
    if product is None:
        known = sorted(product.uuid for product in GlobalDataProduct.load_all())
        raise ConfigurationError(
            f"global_data_products.yaml: there is no product {name!r}",
            f"choose one of: {', '.join(known) or 'none is defined'}",
        )
    return product


def builds(
    product: GlobalDataProduct, limit: int | None = None, status: Any = None
) -> list[PipelineRun]:
    """Return the runs that build a product, whichever trigger they belong to, newest first.

    It stands in for Mage's own ``GlobalDataProduct.pipeline_runs`` (see `consumers.install`).
    """
    return list(_newest_first(product, status).limit(limit).all())


def _newest_first(product: GlobalDataProduct, status: Any) -> Any:
    query = PipelineRun.query.filter(PipelineRun.pipeline_uuid == product.object_uuid)
    if status is not None:
        query = query.filter(PipelineRun.status == status)
    ended = func.coalesce(PipelineRun.completed_at, PipelineRun.created_at)
    return query.order_by(ended.desc(), PipelineRun.id.desc())


def fresh_build(product: GlobalDataProduct, settings: Settings) -> PipelineRun | None:
    """Return the newest completed build of what the dataset's store names as the product.

    Returns:
        ``None`` if there is none, or another is due.
    """
    # Runs of other datasets do not count among the few that are looked at.
    rows = _newest_first(product, RunStatus.COMPLETED).with_entities(
        PipelineRun.id, PipelineRun.variables
    )
    ours = [row.id for row in _of_dataset(rows.all(), settings)]
    completed = map(PipelineRun.query.get, ours[:BUILDS_LOOKED_AT])
    build = next((run for run in completed if _is_current(product, run, settings)), None)
    return None if build is None or all(product.is_outdated(build)) else build


def build_in_progress(product: GlobalDataProduct, settings: Settings) -> PipelineRun | None:
    """Return the oldest build for this dataset that is in progress and that somebody drives."""
    in_progress = PipelineRun.query.filter(
        PipelineRun.pipeline_uuid == product.object_uuid,
        PipelineRun.status.in_(IN_PROGRESS),
    )
    found = in_progress.order_by(PipelineRun.id).all()
    ours = _of_dataset(found, settings)
    return next((run for run in ours if has_driver(settings, run.metrics)), None)


def wait_for_build(run_id: int, settings: Settings) -> PipelineRun:
    """Return a build once it has ended, or nobody drives it any more."""
    return children.wait_for(run_id, lambda run: not has_driver(settings, run.metrics))


@contextlib.contextmanager
def deciding(name: str, settings: Settings) -> Iterator[None]:
    """Let nobody else decide meanwhile whether a product must be built for this dataset."""
    lock = HomeLock(settings.state / product_lock(name), f"deciding whether to build {name}")
    lock.acquire(DECISION_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _of_dataset(runs: Iterable[Any], settings: Settings) -> Iterator[Any]:
    return (run for run in runs if dataset_named(run.variables) == settings.dataset)


def _is_current(product: GlobalDataProduct, run: PipelineRun, settings: Settings) -> bool:
    """Tell whether the store names what a build published, or what that was computed from."""
    try:
        published = current_hash(settings)
    except DamagedFileError:
        return False  # another build writes it anew
    for block in product.settings or {}:
        output = _output(run, block)
        if not isinstance(output, dict):
            return False
        follows = {"training_set": "sha256", "route_statistics": "training_set"}
        key = follows.get(str(output.get("product")))
        if key is not None and output.get(key) != published:
            return False
    return True


def _output(run: PipelineRun, block: str) -> Any:
    try:
        return outcomes.read_output(run, Path(get_repo_path()), block)
    except Exception:
        return None  # its files are gone or damaged: no consumer could read it either
