"""The ONNX file of a model: its tensors, its spec and its identity, checked before an engine is made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..confidence import Calibration
from ..errors import EngineError
from ..spec import INCOMPLETE_KEY, INCOMPLETE_TRAINED, Spec

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

CLASSES = 4


@dataclass(frozen=True)
class Model:
    """A model that fits the pipeline.

    Attributes
    ----------
    size
        Voxels of the network's crop along x, y and z.
    sha256
        Of the file.
    takes_incomplete
        Whether it was trained with modalities left out, and says so.
    calibration
        What the scores of its softmax mean; None where the file does not say.
    """

    path: Path
    spec: Spec
    size: tuple[int, int, int]
    sha256: str
    takes_incomplete: bool = False
    calibration: Calibration | None = None


def read_model(path: Path, spec: Spec | None = None) -> Model:
    """Read and check an ONNX file; `spec`, where given, is taken instead of the one that the file carries.

    Raises
    ------
    EngineError
        If the file is missing, is not ONNX, has other tensors than 1x4xDxHxW in and out, carries no spec, or a
        calibration that is not readable.
    """
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise EngineError(f"{path}: the model cannot be read ({fault.strerror}); name an .onnx file") from None
    proto = _parse(path, data)
    size = _check_tensors(path, proto)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    try:
        known = Spec.from_metadata(metadata) if spec is None else spec
        calibration = Calibration.from_metadata(metadata)
        incomplete = _takes_incomplete(metadata)
    except EngineError as fault:
        raise EngineError(f"{path}: {fault}") from None
    return Model(path, known, size, hashlib.sha256(data).hexdigest(), incomplete, calibration)


def _takes_incomplete(metadata: Mapping[str, str]) -> bool:
    found = metadata.get(INCOMPLETE_KEY)
    if found not in (None, INCOMPLETE_TRAINED):
        raise EngineError(
            f"its metadata has {found!r} for {INCOMPLETE_KEY}; expected {INCOMPLETE_TRAINED!r} or nothing: convert the "
            "model again"
        )
    return found is not None


def _parse(path: Path, data: bytes) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError:
        raise EngineError(f"{path}: not an ONNX model; export one with `brats-trt convert`") from None
    if not proto.graph.node:
        raise EngineError(f"{path}: not an ONNX model (no graph in it); export one with `brats-trt convert`")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer):
        raise EngineError(f"{path}: the model keeps weights in other files; save it as one file, or convert it again")
    return proto


def _check_tensors(path: Path, proto: ModelProto) -> tuple[int, int, int]:
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    shapes = [[_shape(value) for value in inputs], [_shape(value) for value in proto.graph.output]]
    expected = len(shapes[0]) == len(shapes[1]) == 1 and shapes[0] == shapes[1]
    shape = shapes[0][0] if expected else ()
    if len(shape) != 5 or shape[:2] != (1, CLASSES) or min(shape) < 1:
        raise EngineError(
            f"{path}: the model takes {shapes[0]} and gives {shapes[1]}; expected one input and one output of "
            f"(1, {CLASSES}, D, H, W): export the network with `brats-trt convert`"
        )
    if any(_dtype(value) not in ("FLOAT", "FLOAT16") for value in (*inputs, *proto.graph.output)):
        raise EngineError(f"{path}: the model's input or output is not float32 or float16; export it again")
    return (shape[2], shape[3], shape[4])


def _shape(value: ValueInfoProto) -> tuple[int, ...]:
    """The static shape; -1 stands for an axis that is not fixed."""
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in axes)


def _dtype(value: ValueInfoProto) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(value.type.tensor_type.elem_type))
