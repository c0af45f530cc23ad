"""Loads and saves each definition of a project with Mage's code: ``save_definitions.py PROJECT``.

Prints, as JSON, what Mage holds of each pipeline before and after, with and without a block that
has run.
"""

import json
import sys
from pathlib import Path

from mlops.orchestration.engine import environment
from mlops.settings import load_settings

if __name__ == "__main__":
    settings = load_settings()
    project = Path(sys.argv[1])
    environment.prepare(settings, project)
    environment.boot(settings.logs / "save.log")

    import asyncio

    from mage_ai.data_preparation.models.constants import BlockStatus
    from mage_ai.data_preparation.models.global_data_product import GlobalDataProduct
    from mage_ai.data_preparation.models.pipeline import Pipeline
    from mage_ai.presenters.block_layout.page import PageBlockLayout

    held = {}
    for path in sorted(project.glob("pipelines/*/metadata.yaml")):
        name = path.parent.name
        before = Pipeline.get(name, repo_path=str(project)).to_dict(include_extensions=True)
        Pipeline.get(name, repo_path=str(project)).save()
        asyncio.run(Pipeline.get(name, repo_path=str(project)).save_async())
        after = Pipeline.get(name, repo_path=str(project)).to_dict(include_extensions=True)
        first, *_ = Pipeline.get(name, repo_path=str(project)).blocks_by_uuid.values()
        first.update_status(BlockStatus.EXECUTED)
        again = Pipeline.get(name, repo_path=str(project)).get_block(first.uuid)
        held[name] = {"before": before, "after": after, "status": again.status}
    for product in GlobalDataProduct.load_all(str(project)):
        product.save()
    for path in sorted(project.glob("presenters/**/block_layout.yaml")):
        PageBlockLayout.load(str(path.parent.relative_to(project / "presenters"))).save()
    print(json.dumps(held, default=str))
