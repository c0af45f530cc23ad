"""Keeps in Mage's own files what a person decided, in the form in which Mage saves it.

Mage writes the whole pipeline whenever a block has run in its editor: every default, an absolute
path, and which blocks have run. Here the file changes only if a decision does. Which blocks have
run is remembered with our state: the editor shows it, and it runs what has not run yet.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from mlops.records.atomic import atomic_file

# Derived by Mage, or different on each machine.
_DERIVED: Final = {"variables_dir", "remote_variables_dir", "all_upstream_blocks_executed"}
_DERIVED_OF_PRODUCTS: Final = {"project", "repo_path"}
_STATUS: Final = "status"
# What Mage assumes where a file says nothing, besides nothing and empty lists.
_PIPELINE_DEFAULTS: Final = {
    "cache_block_output_in_memory": False,
    "executor_count": 1,
    "run_pipeline_in_one_process": False,
    "settings": {"triggers": None},
}
_BLOCK_DEFAULTS: Final = {"executor_type": "local_python", "has_callback": False}
_BLOCK_LISTS: Final = ("blocks", "callbacks", "conditionals", "widgets")
# Mage's own code expects these of every block.
_ALWAYS: Final = {"upstream_blocks", "downstream_blocks"}


def decisions(pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a pipeline's definition that somebody chose.

    Args:
        pipeline: As Mage loads or saves it.

    Returns:
        What loads as the same pipeline, without statuses, paths and defaults.
    """
    kept = _chosen(pipeline, _PIPELINE_DEFAULTS)
    for kind in _BLOCK_LISTS:
        if kind in kept:
            kept[kind] = [_chosen(block, _BLOCK_DEFAULTS) for block in kept[kind]]
    return kept


def text_of(pipeline: Mapping[str, Any]) -> str:
    """Return a pipeline's ``metadata.yaml``: the decisions, as Mage's own code writes them."""
    return str(yaml.dump(decisions(pipeline), allow_unicode=True))


def text_of_products(products: Mapping[str, Mapping[str, Any]]) -> str:
    """Return ``global_data_products.yaml``: the decisions, as Mage's own code writes them."""
    kept = {
        name: {k: v for k, v in product.items() if k not in _DERIVED_OF_PRODUCTS}
        for name, product in products.items()
    }
    return str(yaml.safe_dump(kept))


def _chosen(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if name in _ALWAYS
        or (
            name not in _DERIVED
            and name != _STATUS
            and value not in (None, {}, [])
            and not (name in defaults and value == defaults[name])
        )
    }


class BlockStatuses:
    """Which blocks of each pipeline have run in the editor.

    Args:
        folder: Where a file per pipeline is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, pipeline: Mapping[str, Any]) -> None:
        """Remember the statuses in a pipeline that Mage is about to save."""
        statuses = {
            block["uuid"]: str(block[_STATUS])
            for block in _blocks_of(pipeline)
            if block.get(_STATUS) is not None
        }
        name = pipeline.get("uuid")
        if name and statuses and statuses != self._of(name):
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(self._folder / f"{name}.json") as path:
                path.write_text(json.dumps(statuses, indent=1), encoding="utf-8")

    def put_into(self, pipeline: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return a pipeline as Mage would have saved it, with its blocks' statuses."""
        statuses = self._of(name)
        filled = dict(pipeline)
        for kind in _BLOCK_LISTS:
            if filled.get(kind):
                filled[kind] = [
                    {_STATUS: statuses.get(block.get("uuid")), **block} for block in filled[kind]
                ]
        return filled

    def _of(self, name: str) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            content = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content
        return {}


def _blocks_of(pipeline: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (block for kind in _BLOCK_LISTS for block in pipeline.get(kind) or ())


def install(state: Path) -> None:
    """Make Mage save decisions only, in this process: of pipelines and global data products.

    Args:
        state: Mage's folder in our home; statuses of blocks go there.
    """
    module: Any = importlib.import_module("mage_ai.data_preparation.models.pipeline")
    if isinstance(module.yaml, _Changed):
        return
    statuses = BlockStatuses(state / "block_statuses")

    def dump(pipeline: Mapping[str, Any], stream: Any = None, **options: Any) -> str:
        statuses.keep(pipeline)
        text = text_of(pipeline)
        if stream is not None:
            stream.write(text)
        return text

    module.yaml = _Changed(dump=dump)

    def write(path: str, content: str, *args: Any, **kwargs: Any) -> None:
        _write_if_changed(Path(path), content)

    async def write_async(path: str, content: str, *args: Any, **kwargs: Any) -> None:
        _write_if_changed(Path(path), content)

    module.safe_write, module.safe_write_async = write, write_async
    load = module.Pipeline.load_config

    @functools.wraps(load)
    def load_config(pipeline: Any, config: Any, *args: Any, **kwargs: Any) -> Any:
        filled = statuses.put_into(config, pipeline.uuid) if config else config
        return load(pipeline, filled, *args, **kwargs)

    module.Pipeline.load_config = load_config
    products: Any = importlib.import_module("mage_ai.data_preparation.models.global_data_product")
    products.yaml = _Changed(safe_dump=text_of_products)
    products.safe_write = write
    product, path_of = products.GlobalDataProduct, products.GlobalDataProduct.file_path
    # A product that does not name this machine's path could be read, but not saved.
    product.file_path = staticmethod(lambda at: path_of(at or products.get_repo_path()))


class _Changed:
    """Takes the place of the YAML library where Mage saves a definition.

    Args:
        functions: Used instead of the library's.
    """

    def __init__(self, **functions: Any) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(yaml, name)


def _write_if_changed(path: Path, content: str) -> None:
    """Replace a file in one step: Mage would empty it first, and another process might look."""
    try:
        same = path.read_text(encoding="utf-8") == content
    except OSError:
        same = False
    if not same:
        with atomic_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
