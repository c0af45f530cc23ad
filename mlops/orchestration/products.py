"""Global data products in Mage's tables. Import only after `environment.boot`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
from mage_ai.data_preparation.models.pipeline import Pipeline
from mage_ai.orchestration.db.models.schedules import PipelineRun

from mlops.errors import ConfigurationError


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
    """Tell whether Mage would use the newest completed build rather than start another."""
    latest = latest_build(product)
    outdated, gate_open = product.is_outdated(latest)
    return not (outdated and gate_open)


def latest_build(product: GlobalDataProduct) -> Any | None:
    """Return a detached copy of the newest completed run that built a product, or ``None``."""
    builds = product.pipeline_runs(limit=1, status=PipelineRun.PipelineRunStatus.COMPLETED)
    return builds[0] if builds else None


def products_read_by(pipeline: Pipeline) -> Iterable[GlobalDataProduct]:
    """Return the global data products that a pipeline's blocks wait for."""
    for block in pipeline.blocks_by_uuid.values():
        if block.type == "global_data_product":
            yield block.get_global_data_product()
