"""Trees as an ONNX model, to measure ONNX Runtime on the very trees that the server runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops.serving.model.trees import Tree

_OPERATORS = "ai.onnx.ml"
_LEAF = -1


def onnx_session(outputs: Sequence[Sequence[Tree]], features: int) -> Any:
    """Return an ONNX Runtime session of one thread that predicts ``(n, outputs)`` from ``X``.

    One operator, ``TreeEnsembleRegressor``:
    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html.

    Args:
        outputs: Trees whose sum is an output, for each output.
        features: Columns of ``X``.
    """
    import onnxruntime
    from onnx import TensorProto, helper

    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["X"],
        ["Y"],
        domain=_OPERATORS,
        n_targets=len(outputs),
        **_attributes(outputs),
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, len(outputs)])],
    )
    operators = [helper.make_opsetid(_OPERATORS, 3), helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=operators, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _attributes(outputs: Sequence[Sequence[Tree]]) -> dict[str, list[Any]]:
    """Lay all nodes of all trees out, one attribute per property."""
    columns: dict[str, list[Any]] = {}
    trees = [(tree, output) for output, group in enumerate(outputs) for tree in group]
    for number, (tree, output) in enumerate(trees):
        inner = tree.left != _LEAF
        nodes, leaves = np.arange(len(tree.left)), np.flatnonzero(~inner)
        for name, values in {
            "nodes_treeids": np.full(len(nodes), number),
            "nodes_nodeids": nodes,
            "nodes_featureids": tree.feature,
            "nodes_modes": np.where(inner, "BRANCH_LT", "LEAF"),
            "nodes_values": tree.threshold,
            "nodes_truenodeids": np.where(inner, tree.left, 0),
            "nodes_falsenodeids": np.where(inner, tree.right, 0),
            "nodes_missing_value_tracks_true": tree.missing_left.astype(int),
            "target_treeids": np.full(len(leaves), number),
            "target_nodeids": leaves,
            "target_ids": np.full(len(leaves), output),
            "target_weights": tree.value[leaves],
        }.items():
            columns.setdefault(name, []).extend(values.tolist())
    return columns
