"""Global data products in Mage's tables. Import only after `environment.boot`."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta, timezone
from typing import Any

from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.orchestration.db.models.schedules import PipelineRun

from mlops.errors import ConfigurationError

MARGIN_SECONDS = 60


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


def product_is_fresh(product: GlobalDataProduct) -> bool:
    """Tell whether Mage will use the newest completed build rather than start another.

    A build about to expire counts as outdated: a consumer that starts before and looks after
    would wait for a build that nobody drives.
    """
    latest = latest_build(product)
    if latest is None:
        return False
    expires = product.next_run_at(latest)
    if expires is None:
        return True
    lifetime = (expires - latest.execution_date.replace(tzinfo=timezone.utc)).total_seconds()
    margin = timedelta(seconds=min(MARGIN_SECONDS, lifetime / 10))
    outdated = datetime.now(timezone.utc) >= expires - margin
    return not (outdated and product.is_outdated_after())


def require_fresh(pipeline: Pipeline, finished: Container[str] = ()) -> None:
    """Make sure that no block of a pipeline will wait for a data product.

    Args:
        pipeline: The consumer.
        finished: Blocks that have their product already.

    Raises:
        ConfigurationError: Naming the product and how to build it.
    """
    for block in pipeline.blocks_by_uuid.values():
        if block.type != "global_data_product" or block.uuid in finished:
            continue
        product = block.get_global_data_product()
        if not product_is_fresh(product):
            raise ConfigurationError(
                f"pipelines/{pipeline.uuid}: it reads the data product {product.uuid!r}, which "
                "has not been built yet or is outdated",
                f"build it first: mlops pipeline run {product.object_uuid}",
            )


def latest_build(product: GlobalDataProduct) -> Any | None:
    """Return a detached copy of the newest completed run that built a product, or ``None``."""
    builds = product.pipeline_runs(limit=1, status=PipelineRun.PipelineRunStatus.COMPLETED)
    return builds[0] if builds else None
