"""A step finds the product of its own run, whatever nesting Mage chose."""

from __future__ import annotations

import json

import pytest

from mlops.errors import MlopsError
from mlops.steps.products import find_product

OLD = {"product": "training_set", "sha256": "old"}
NEW = {"product": "training_set", "sha256": "new"}


def test_found_in_the_output_of_a_product_block() -> None:
    # given what a block downstream of the product receives
    argument = {"publish_training_set": [NEW]}

    assert find_product("training_set", argument) == NEW


def test_pinned_product_wins_over_the_newest() -> None:
    # given a build pinned to this run, and a newer one that finished meanwhile
    pinned = [[OLD], [{"product": "route_statistics", "sha256": "r"}]]

    assert find_product("training_set", pinned, {"publish_training_set": [NEW]}) == OLD
    assert find_product("route_statistics", pinned)["sha256"] == "r"


def test_serialised_manifests_are_understood() -> None:
    assert find_product("training_set", [json.dumps(NEW)]) == NEW


@pytest.mark.parametrize("source", [None, [], {}, "text", "{broken", [[{"other": 1}]]])
def test_a_missing_product_is_named(source: object) -> None:
    with pytest.raises(MlopsError, match="training_set"):
        find_product("training_set", source)
