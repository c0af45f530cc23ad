"""Every family of trees as trees of XGBoost, so that one booster serves them all.

A model's centre and both bounds become outputs of one booster: one pass over the features answers a
request, XGBoost's kernel is the fastest of those measured for many rows (``python -m benchmarks
runtimes``; one row alone goes through Treelite), and its exact SHAP values come with it, for
scikit-learn's trees too.

The JSON written is XGBoost's documented model format
(https://xgboost.readthedocs.io/en/release_3.0.0/tutorials/saving_model.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

_NO_NODE: Final = -1
_NO_PARENT: Final = 2**31 - 1
# The largest number below which there is room for a larger one.
_LARGE: Final = np.nextafter(np.finfo(np.float32).max, np.float32(0))


@dataclass(frozen=True, eq=False)
class Tree:
    """One regression tree; every array has a value per node, the root first.

    Attributes:
        left: Child for ``feature < threshold``; -1 at a leaf.
        right: The other child; -1 at a leaf.
        feature: Column that a node looks at.
        threshold: See ``left``.
        missing_left: Where a missing value goes.
        value: What a leaf predicts, in the unit of the target; not read elsewhere.
        cover: Rows of the training set that came by, by weight.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    cover: Floats

    def plus(self, constant: float) -> Tree:
        """Return the tree predicting ``constant`` more."""
        return replace(self, value=self.value + np.float32(constant))


def constant_tree(value: float) -> Tree:
    """Return the tree that predicts the same for everybody."""
    none, zero = np.array([_NO_NODE], np.int32), np.zeros(1, np.float32)
    return Tree(none, none, np.zeros(1, np.int32), zero, np.zeros(1, bool), zero + value, zero + 1)


def booster_trees(booster: Any) -> list[list[Tree]]:
    """Read an XGBoost model of numbers, one list of trees per output.

    The base score goes into the first tree of each output: XGBoost starts its sums with it, so that
    they stay the same to the bit.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    shape = learner["learner_model_param"]
    outputs: list[list[Tree]] = [[] for _ in range(max(1, int(shape["num_target"])))]
    model = learner["gradient_booster"]["model"]
    for tree, output in zip(model["trees"], model["tree_info"], strict=True):
        outputs[output].append(_from_json(tree))
    base = float(shape["base_score"])
    return [[trees[0].plus(base), *trees[1:]] for trees in outputs]


def histogram_trees(model: Any) -> list[Tree]:
    """Read scikit-learn's `HistGradientBoostingRegressor`."""
    trees = [_from_histogram_nodes(stage[0].nodes) for stage in model._predictors]
    return [trees[0].plus(float(model._baseline_prediction.item())), *trees[1:]]


def forest_trees(forest: Any) -> list[Tree]:
    """Read scikit-learn's forests: trees whose predictions are averaged."""
    share = 1 / len(forest.estimators_)
    return [_from_forest_nodes(each.tree_.__getstate__(), share) for each in forest.estimators_]


def merged_booster(outputs: Sequence[Sequence[Tree]], features: int) -> Any:
    """Put trees into one booster.

    Its first layer (``iteration_range=(0, 1)``) holds the trees of the first output alone.

    Args:
        outputs: Trees whose sum is an output, for each output.
        features: Columns of the matrix that it will predict for.

    Returns:
        An ``xgboost.Booster`` that predicts ``(n, outputs)`` with one thread.
    """
    import xgboost

    trees = [(tree, output) for output, group in enumerate(outputs) for tree in group]
    model = {
        "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
        "iteration_indptr": sorted({0, len(outputs[0]), len(trees)}),
        "tree_info": [output for _, output in trees],
        "trees": [_to_json(tree, number, features) for number, (tree, _) in enumerate(trees)],
    }
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": model, "name": "gbtree"},
        "learner_model_param": {
            "base_score": "0",
            "boost_from_average": "0",
            "num_class": "0",
            "num_feature": str(features),
            "num_target": str(len(outputs)),
        },
        "objective": {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    version = [int(part) for part in xgboost.__version__.split(".")[:3]]
    content = json.dumps({"learner": learner, "version": version}).encode()
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(content))


def strictly_below(limit: npt.NDArray[np.float64]) -> Floats:
    """Turn ``x <= limit`` (float64) into ``x < result`` (float32) for every finite float32 ``x``.

    The result is the smallest float32 above the limit.
    """
    clipped = np.clip(limit, -_LARGE, _LARGE)
    near = clipped.astype(np.float32)
    return np.where(near > clipped, near, np.nextafter(near, np.float32(np.inf)))


def _from_json(tree: dict[str, Any]) -> Tree:
    if any(tree["split_type"]):
        raise ValueError("splits on categories cannot be converted")
    conditions = np.array(tree["split_conditions"], np.float32)
    return Tree(
        left=np.array(tree["left_children"], np.int32),
        right=np.array(tree["right_children"], np.int32),
        feature=np.array(tree["split_indices"], np.int32),
        threshold=conditions,
        missing_left=np.array(tree["default_left"], bool),
        value=conditions,  # a leaf keeps its prediction where others keep their threshold
        cover=np.array(tree["sum_hessian"], np.float32),
    )


def _from_histogram_nodes(nodes: Any) -> Tree:
    if nodes["is_categorical"].any():
        raise ValueError("splits on categories cannot be converted")
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(leaf, _NO_NODE, nodes["left"]).astype(np.int32),
        right=np.where(leaf, _NO_NODE, nodes["right"]).astype(np.int32),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=strictly_below(np.where(leaf, 0, nodes["num_threshold"])),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"].astype(np.float32),
        cover=nodes["count"].astype(np.float32),
    )


def _from_forest_nodes(state: dict[str, Any], share: float) -> Tree:
    nodes = state["nodes"]
    leaf = nodes["left_child"] == _NO_NODE
    return Tree(
        left=nodes["left_child"].astype(np.int32),
        right=nodes["right_child"].astype(np.int32),
        feature=np.where(leaf, 0, nodes["feature"]).astype(np.int32),
        threshold=strictly_below(np.where(leaf, 0, nodes["threshold"])),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=(state["values"][:, 0, 0] * share).astype(np.float32),
        cover=nodes["weighted_n_node_samples"].astype(np.float32),
    )


def _breadth_first(tree: Tree) -> Tree:
    """Renumber the nodes: XGBoost takes for granted that a right child follows the left one."""
    levels = [np.zeros(1, np.int32)]
    while len(levels[-1]):
        inner = levels[-1][tree.left[levels[-1]] >= 0]
        levels.append(np.stack([tree.left[inner], tree.right[inner]], axis=1).ravel())
    order = np.concatenate(levels)
    moved = Tree(**{name: values[order] for name, values in vars(tree).items()})
    parent = moved.left >= 0
    first = np.cumsum(parent) * 2 - 1  # where the children of the nodes so far begin
    left = np.where(parent, first, _NO_NODE).astype(np.int32)
    return replace(moved, left=left, right=np.where(parent, left + 1, _NO_NODE).astype(np.int32))


def _to_json(unordered: Tree, number: int, features: int) -> dict[str, Any]:
    tree = _breadth_first(unordered)
    size = len(tree.left)
    return {
        "base_weights": [0.0] * size,  # what training keeps for itself
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": tree.missing_left.astype(int).tolist(),
        "id": number,
        "left_children": tree.left.tolist(),
        "loss_changes": [0.0] * size,
        "parents": list(_parents(tree)),
        "right_children": tree.right.tolist(),
        "split_conditions": np.where(tree.left < 0, tree.value, tree.threshold).tolist(),
        "split_indices": tree.feature.tolist(),
        "split_type": [0] * size,
        "sum_hessian": tree.cover.tolist(),
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(features),
            "num_nodes": str(size),
            "size_leaf_vector": "1",
        },
    }


def _parents(tree: Tree) -> Iterator[int]:
    parents = np.full(len(tree.left), _NO_PARENT, np.int64)
    inner = np.flatnonzero(tree.left >= 0)
    parents[tree.left[inner]] = inner
    parents[tree.right[inner]] = inner
    return iter(parents.tolist())
