"""Encoders apart: that the numbers stay is in `test_rewrites.py`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import integers
from onnx import TensorProto, helper, numpy_helper
from references import checkpoint, run_onnxruntime

from brats_trt import EngineError
from brats_trt.export import convert
from brats_trt.export.rewrites import rewrite

FLOAT = TensorProto.FLOAT
GRID = (2, 1, 3)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.onnx"
    convert(*checkpoint("random-f1"), path, size=32)
    return onnx.load(path)


def model(nodes, arrays, channels, outputs):
    """Nodes that read `data_crop` of some channels on a grid of 2x1x3; outputs by name and channels."""
    graph = helper.make_graph(
        [helper.make_node(node[0], node[1], node[2], name=node[2][0], **(node[3:] or [{}])[0]) for node in nodes],
        "parts",
        [helper.make_tensor_value_info("data_crop", FLOAT, (1, channels, *GRID))],
        [helper.make_tensor_value_info(name, FLOAT, (1, count, *GRID)) for name, count in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def grouped(count, channels, *behind, outputs, filters=None):
    """A convolution of so many groups and channels a group, and what stands behind it."""
    filters = count * channels if filters is None else filters
    arrays = {"weight": integers(filters, channels, 1, 1, 1), "bias": integers(filters, seed=1)}
    convolution = ("Conv", ["data_crop", "weight", "bias"], ["y"], {"group": count})
    return model([convolution, *behind], arrays, count * channels, outputs)


def answers(found, channels):
    data = integers(1, channels, *GRID, seed=2)
    return run_onnxruntime(found.SerializeToString(), data)


def operators(found):
    return Counter(node.op_type for node in found.graph.node)


def convolutions(found):
    """Groups and the finest grid's side, a convolution each."""
    inferred = onnx.shape_inference.infer_shapes(found).graph
    values = (*inferred.value_info, *inferred.output)
    sides = {value.name: value.type.tensor_type.shape.dim[2].dim_value for value in values}
    return [
        (next((a.i for a in node.attribute if a.name == "group"), 1), sides[node.output[0]])
        for node in inferred.node
        if node.op_type == "Conv"
    ]


def test_apart_leaves_no_groups_and_splits_nothing_but_inputs(network):
    found = rewrite(network, encoders="apart")
    assert {groups for groups, _ in convolutions(found)} == {1}
    splits = [node for node in found.graph.node if node.op_type == "Split"]
    makers = {name: node.op_type for node in found.graph.node for name in node.output}
    assert [makers.get(node.input[0], "the input") for node in splits].count("AveragePool") == 2
    assert len(splits) == 3
    assert operators(found)["Concat"] == operators(network)["Concat"]


def test_on_the_finest_grid_the_encoders_may_stay_joined(network):
    before, after = convolutions(network), convolutions(rewrite(network, encoders="finest_joined"))
    assert before.count((4, 32)) == after.count((4, 32)) == 3
    assert {side for groups, side in after if groups > 1} == {32}
    assert {side for groups, side in before if groups > 1} > {32}


def test_a_part_is_split_off_once(network):
    found = rewrite(network, encoders="finest_joined")
    sources = [node.input[0] for node in found.graph.node if node.op_type == "Split"]
    assert len(sources) == len(set(sources))


@given(count=st.integers(2, 4), channels=st.integers(1, 3))
@settings(deadline=None, max_examples=8)
def test_sums_of_small_integers_are_the_same_to_the_bit(count, channels):
    behind = ("Relu", ["y"], ["z"])
    before = grouped(count, channels, behind, outputs={"z": count * channels})
    after = rewrite(before, encoders="apart")
    assert operators(after) == Counter(Split=1, Conv=count, Relu=count, Concat=1)
    assert np.array_equal(answers(after, count * channels), answers(before, count * channels))


def test_what_needs_all_channels_gets_them(network):
    before = grouped(2, 2, ("Softmax", ["y"], ["z"], {"axis": 1}), outputs={"z": 4})
    after = rewrite(before, encoders="apart")
    assert operators(after) == Counter(Split=1, Conv=2, Concat=1, Softmax=1)
    assert np.array_equal(answers(after, 4), answers(before, 4))


def test_other_groups_than_before_are_parted_anew():
    second = ("Conv", ["y", "second"], ["z"], {"group": 4})
    before = grouped(2, 2, second, outputs={"z": 4})
    before.graph.initializer.append(numpy_helper.from_array(integers(4, 1, 1, 1, 1, seed=3), "second"))
    after = rewrite(before, encoders="apart")
    assert operators(after) == Counter(Split=2, Conv=6, Concat=2)
    assert np.array_equal(answers(after, 4), answers(before, 4))


def test_a_sum_with_a_tensor_that_is_whole_takes_its_parts():
    before = grouped(2, 2, ("Add", ["y", "data_crop"], ["z"]), outputs={"z": 4})
    after = rewrite(before, encoders="apart")
    assert operators(after) == Counter(Split=1, Conv=2, Add=2, Concat=1)
    assert np.array_equal(answers(after, 4), answers(before, 4))


def test_a_sum_that_broadcasts_is_left_as_it_is():
    before = grouped(2, 2, ("Add", ["y", "slopes"], ["z"]), outputs={"z": 4})
    before.graph.initializer.append(numpy_helper.from_array(integers(1, 4, 1, 1, 1, seed=3), "slopes"))
    after = rewrite(before, encoders="apart")
    assert operators(after) == Counter(Split=1, Conv=2, Concat=1, Add=1)
    assert np.array_equal(answers(after, 4), answers(before, 4))


def test_the_graphs_outputs_keep_their_names():
    parts = ("Split", ["y"], ["first", "second"], {"axis": 1})
    before = grouped(2, 2, parts, outputs={"first": 2, "second": 2, "y": 4})
    after = rewrite(before, encoders="apart")
    assert [value.name for value in after.graph.output] == ["first", "second", "y"]
    assert np.array_equal(answers(after, 4), answers(before, 4))


def test_an_array_that_does_not_part_is_refused():
    norm = ("InstanceNormalization", ["y", "scale", "shift"], ["z"])
    before = grouped(2, 2, norm, outputs={"z": 4})
    before.graph.initializer.append(numpy_helper.from_array(integers(3), "scale"))
    before.graph.initializer.append(numpy_helper.from_array(integers(4), "shift"))
    with pytest.raises(EngineError, match=r"node 'z' .*'scale' of 3 does not part into 2: .*encoders='joined'"):
        rewrite(before, encoders="apart")


def test_a_weight_that_is_computed_is_refused():
    before = grouped(2, 2, outputs={"y": 4})
    weight = before.graph.node[0].input[1]
    before.graph.node.insert(0, helper.make_node("Identity", [weight], ["computed"], name="identity"))
    before.graph.node[1].input[1] = "computed"
    with pytest.raises(EngineError, match=r"node 'y' \(Conv\): its input 'computed' is computed"):
        rewrite(before, encoders="apart")
