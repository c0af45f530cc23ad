"""How a step finds a global data product among what Mage hands to its block.

A block downstream of a data product receives the product's outputs nested by block and partition,
and a second time, pinned to this pipeline run, under ``remote_blocks``. Products name themselves in
their manifest, so the shape of the nesting does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlops.data.references import RouteStatisticsManifest, TrainingSetManifest
from mlops.datasets.opening import dataset_of
from mlops.errors import MlopsError
from mlops.settings import Settings


def find_product(name: str, *sources: Any) -> dict[str, Any]:
    """Return the manifest of product ``name``, searching the sources in order.

    Args:
        name: The product's name, e.g. ``training_set``.
        *sources: Nested dicts and lists; the first manifest found wins, so pass the pinned
            ``remote_blocks`` before a block's argument.

    Raises:
        MlopsError: If no source holds the product.
    """
    for manifest in (found for source in sources for found in _dicts(source)):
        if manifest.get("product") == name:
            return dict(manifest)
    raise MlopsError(
        f"this block did not receive the data product {name}",
        f"run `mlops run`, or trigger the pipeline that builds {name} once, then try again",
    )


def training_set_from(argument: Any, variables: Mapping[str, Any]) -> TrainingSetManifest:
    """Return the training set of this pipeline run."""
    found = find_product("training_set", variables.get("remote_blocks"), argument)
    return TrainingSetManifest.model_validate(found)


def route_statistics_for(
    training_set: TrainingSetManifest,
    argument: Any,
    variables: Mapping[str, Any],
    settings: Settings,
) -> RouteStatisticsManifest:
    """Return the route statistics of exactly this training set.

    The two products expire on their own clocks, so what Mage hands over may belong to an earlier
    training set; then the right ones are published here (the same content, the same hash).
    """
    manifest = RouteStatisticsManifest.model_validate(
        find_product("route_statistics", variables.get("remote_blocks"), argument)
    )
    if manifest.training_set == training_set.sha256:
        return manifest
    return dataset_of(settings).freeze(training_set, settings)


def _dicts(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, str) and node.startswith(("{", "[")):
        try:
            node = json.loads(node)
        except ValueError:
            return
    if isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _dicts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _dicts(value)
