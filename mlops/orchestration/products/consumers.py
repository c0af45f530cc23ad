"""How a pipeline's block gets its data product: the newest build, or one that is made for it.

Mage's own way loses a quarter of a minute to fixed waits, lets two consumers at the same moment
build twice, and hides the cause of a failed build. So its block for global data products is given
this one, in memory. Import only after `environment.boot`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from mage_ai.data_preparation.models.block.global_data_product import GlobalDataProductBlock
from mage_ai.data_preparation.models.block.remote.models import RemoteBlock
from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
from mage_ai.orchestration.db.models.schedules import PipelineRun
from mage_ai.settings.repo import get_repo_path

from mlops import progress
from mlops.data.store.publications import recipe_in_force
from mlops.orchestration.products import builds as products
from mlops.orchestration.runs import marks, outcomes
from mlops.orchestration.runs import tables as runs
from mlops.orchestration.runs.contract import PipelineRequest
from mlops.orchestration.runs.datasets import DATASET, dataset_named
from mlops.orchestration.runs.failures import require_success
from mlops.settings import Settings, load_settings

_STOCK = GlobalDataProductBlock._execute_block


def install() -> None:
    """Let this process, and those that it forks, count and fetch data products in this way."""
    GlobalDataProduct.pipeline_runs = products.builds
    GlobalDataProductBlock._execute_block = _execute_block


def show_every_build() -> None:
    """In the web server: list all builds on a product's page, whichever trigger they belong to."""
    from mage_ai.api.resources.PipelineRunResource import PipelineRunResource

    collection = PipelineRunResource.collection.__func__

    @functools.wraps(collection)
    async def by_pipeline(cls: Any, query: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if names := query.pop("global_data_product_uuid", None):
            query["pipeline_uuid"] = [products.load_product(names[0]).object_uuid]
        return await collection(cls, query, *args, **kwargs)

    PipelineRunResource.collection = classmethod(by_pipeline)


def _execute_block(
    block: GlobalDataProductBlock,
    outputs_from_input_vars: Any,
    from_notebook: bool = False,
    global_vars: dict[str, Any] | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Get the product; return what pins it to this run, whatever is published meanwhile."""
    parent_id = (global_vars or {}).get("pipeline_run_id")
    if parent_id is None:  # in the editor, where there is no run whose child could build it
        stock = {"from_notebook": from_notebook, "global_vars": global_vars, **kwargs}
        return list(_STOCK(block, outputs_from_input_vars, **stock))
    product = block.get_global_data_product()
    runs.forget()
    dataset = dataset_named(runs.get_run(int(parent_id)).variables)
    build = obtain(product, int(parent_id), load_settings({DATASET: dataset}))
    pinned = [
        RemoteBlock.load(
            block_uuid=name,
            execution_partition=build.execution_partition,
            pipeline_uuid=build.pipeline_uuid,
            repo_path=product.pipeline.repo_path,
        )
        for name in product.settings or {}
    ]
    return [{"remote_blocks": pinned}]


def obtain(product: GlobalDataProduct, parent_id: int, settings: Settings) -> PipelineRun:
    """Return the build that a run is to use; if it is outdated, wait for another.

    A build in progress is joined, no matter what started it. Otherwise one is started as a child of
    the run that asks, with the settings by which the training set was published last, unless that
    run was given others.

    Args:
        product: What is needed.
        parent_id: The run that needs it.
        settings: Of the run's dataset: where the home and the store are.

    Raises:
        MlopsError: What made the build fail, in its own words.
    """
    while True:
        runs.forget()
        with products.deciding(product.uuid, settings):
            build = products.fresh_build(product, settings)
            if build is not None:
                return build
            build = products.build_in_progress(product, settings)
            is_ours = build is None
            if build is None:
                parent = runs.get_run(parent_id)
                variables = recipe_in_force(settings, parent.variables or {})
                request = PipelineRequest(product.object_uuid, variables)
                build = runs.create_run(request, Path(get_repo_path()), parent)
        progress.report(f"waiting for {product.uuid}", run=build.id, started_here=is_ours)
        ended = products.wait_for_build(build.id, settings)
        # What somebody else started may have been wrong only as they asked for it.
        if is_ours or (ended.status == runs.RunStatus.FAILED and marks.parent_of(ended)):
            result = outcomes.describe(ended, Path(get_repo_path()), settings.logs)
            require_success(result, f"mlops pipeline resume {parent_id}")
