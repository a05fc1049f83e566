"""A typed graph evaluated twice side by side, in float32: once exactly, once with what it stores in float16 rounded.

Every node computes in float32 on the CPU, by itself, so that nothing is fused. The exact twin ignores the casts. In the
rounded twin each tensor that the graph declares as float16 is rounded to float16 (to nearest, ties to even; infinite
past 65520) after its node: products and sums in float32 and storage in float16 is what tensor cores do. So this says
what the *graph* costs, not a device: an engine sums in another order, rounds less often where it fuses nodes, and its
kernels may sum in float16 where they choose to. A norm's sums are in float32, which is not sure of one fed float16.
Both twins use the weights of the file: rounding those to float16 cost something beforehand that is not seen here.

OpenVINO in precision f16 would need a processor with float16 arithmetic, and converts to float32 on any other; ONNX
Runtime computes float16 graphs in float32 on the CPU, without rounding in between where it fuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backends.openvino import openvino_core
from ..errors import EngineError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

FLOAT16_MAX = 65504.0

# Their results are values of their inputs: nothing to round.
MOVES = frozenset({"Relu", "Max", "MaxPool", "Split", "Concat", "Reshape", "Transpose", "Unsqueeze", "Identity"})


@dataclass(frozen=True, eq=False)
class Twin:
    """A tensor in float32 in both evaluations.

    Attributes
    ----------
    lost
        Whether it depends on a value that float16 cannot hold; `rounded` means nothing then.
    """

    exact: NDArray[np.float32]
    rounded: NDArray[np.float32]
    lost: bool = False

    @cached_property
    def relative_error(self) -> float:
        """Root mean square of the error over that of the values; infinite where `rounded` is not finite, or lost."""
        if self.lost:
            return math.inf
        if self.rounded is self.exact:
            return 0.0
        off = (self.rounded - self.exact).ravel()
        error, size = float(np.vdot(off, off)), float(np.vdot(self.exact, self.exact))
        if not math.isfinite(error):
            return math.inf
        return math.sqrt(error / size) if size else float(error > 0)


@dataclass(frozen=True, eq=False)
class Step:
    """A node that has just been evaluated."""

    operator: str
    name: str
    inputs: tuple[Twin, ...]
    outputs: tuple[Twin, ...]


class TwinEvaluation:
    """A model in FP16, ready to be evaluated.

    Raises
    ------
    EngineError
        If the model is not in FP16, or its types contradict each other.
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        import onnx

        self._path = path
        self._threads = threads
        try:
            model = onnx.shape_inference.infer_shapes(onnx.load(path), strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError as found:
            reason = " ".join(str(found).split())[:300]
            raise EngineError(f"{path}: not valid ONNX ({reason}): convert the model again") from None
        self._opsets, self._ir_version = list(model.opset_import), model.ir_version
        self._input, self._output = model.graph.input[0].name, model.graph.output[0].name
        self._core = openvino_core()
        values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
        self._halves = {v.name for v in values if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
        if not any(node.output[0] in self._halves for node in model.graph.node):
            raise EngineError(
                f"{path}: nothing in this model is stored in float16, so FP16 costs nothing; expected a model in FP16: "
                "convert with --precision fp16"
            )
        self._arrays = _arrays(model)
        self._nodes = [node for node in model.graph.node if node.op_type != "Constant"]
        self._last_use = {name: index for index, node in enumerate(self._nodes) for name in node.input}

    def run(self, crop: NDArray[np.float32], look: Callable[[Step], None]) -> Twin:
        """Evaluate the network on a (1, 4, D, H, W) crop; `look` sees each node's tensors, which are let go after it.

        Raises
        ------
        EngineError
            If OpenVINO does not know a node.
        """
        live = {self._input: self._round((self._input,), [crop], [crop])[0]}
        for index, node in enumerate(self._nodes):
            names = [name for name in node.input if name and name not in self._arrays]
            inputs = tuple(live[name] for name in names)
            outputs = self._evaluate(node, dict(zip(names, inputs, strict=True)))
            live.update(zip(node.output, outputs, strict=True))
            look(Step(node.op_type, node.name or node.output[0], inputs, outputs))
            for name in {*names, *node.output} - {self._output}:
                if self._last_use.get(name, -1) <= index:
                    del live[name]
        return live[self._output]

    def _evaluate(self, node: NodeProto, inputs: dict[str, Twin]) -> tuple[Twin, ...]:
        twins = list(inputs.values())
        if node.op_type == "Cast" and not twins[0].lost:
            return self._round(node.output, [twins[0].exact], [twins[0].rounded])
        compute = self._norm(node) if node.op_type == "InstanceNormalization" else self._compile(node, inputs)
        exact = compute([twin.exact for twin in twins])
        if any(math.isinf(twin.relative_error) for twin in twins):
            return tuple(Twin(values, values, lost=True) for values in exact)
        same = all(twin.rounded is twin.exact for twin in twins)
        rounded = exact if same else compute([twin.rounded for twin in twins])
        if node.op_type in MOVES:
            return tuple(map(Twin, exact, rounded))
        return self._round(node.output, exact, rounded)

    def _round(
        self, names: Sequence[str], exact: Sequence[NDArray[Any]], rounded: Sequence[NDArray[Any]]
    ) -> tuple[Twin, ...]:
        return tuple(
            Twin(left, to_half(right) if name in self._halves else right)
            for name, left, right in zip(names, exact, rounded, strict=True)
        )

    def _norm(self, node: NodeProto) -> Any:
        """Instance normalisation by NumPy, whose sums are pairwise: OpenVINO's lose digits over many voxels."""
        gamma, beta = (self._arrays[name].astype(np.float32)[:, None] for name in node.input[1:])
        epsilon = np.float32(next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5))

        def compute(inputs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            (data,) = inputs
            flat = data.reshape(*data.shape[:2], -1)
            with np.errstate(invalid="ignore"):
                centred = flat - flat.mean(axis=2, keepdims=True)
                variance = np.square(centred).mean(axis=2, keepdims=True)
                return [(centred * (gamma / np.sqrt(variance + epsilon)) + beta).reshape(data.shape)]

        return compute

    def _compile(self, node: NodeProto, inputs: dict[str, Twin]) -> Any:
        """A node on its own as a network of OpenVINO in FP32."""
        options = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"}
        if self._threads is not None:
            options["INFERENCE_NUM_THREADS"] = str(self._threads)
        try:
            network = self._core.read_model(self._alone(node, inputs).SerializeToString())
            request = self._core.compile_model(network, "CPU", options).create_infer_request()
        except RuntimeError as fault:
            reason = " ".join(str(fault).split())[:300]
            raise EngineError(
                f"{self._path}: OpenVINO does not compile the node {node.name!r} ({reason}): convert the model again"
            ) from fault

        def compute(values: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            results = request.infer(values, share_inputs=True)
            return [np.array(results[index]) for index in range(len(node.output))]

        return compute

    def _alone(self, node: NodeProto, inputs: dict[str, Twin]) -> ModelProto:
        from onnx import TensorProto, helper, numpy_helper

        stored = [name for name in dict.fromkeys(node.input) if name in self._arrays]
        graph = helper.make_graph(
            [node],
            "alone",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, twin.exact.shape) for name, twin in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in node.output],
            [numpy_helper.from_array(_widened(self._arrays[name]), name) for name in stored],
        )
        return helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)


def to_half(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values rounded to float16, in float32; infinite where they lie past its range."""
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _arrays(model: ModelProto) -> dict[str, NDArray[Any]]:
    from onnx import helper, numpy_helper

    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = helper.get_attribute_value(node.attribute[0])
            of_tensor = node.attribute[0].name == "value"
            arrays[node.output[0]] = numpy_helper.to_array(value) if of_tensor else np.asarray(value)
    return arrays


def _widened(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float16 else values
