"""The ONNX graph that a plan is built from: typed in the recipe's precision, and rewritten where it asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backends.model import Model
from ..errors import EngineError
from .recipe import Recipe

if TYPE_CHECKING:
    from onnx import ModelProto


def prepared(model: Model, recipe: Recipe) -> bytes:
    """A model's file as TensorRT gets it; types that it has already stay, and what the recipe rewrites is rewritten.

    Raises
    ------
    EngineError
        If the model is of another precision than the recipe and cannot be given it, its input and output differ in
        type, or a rewrite does not fit it.
    """
    import onnx

    from ..export.retyping import precision_of, to_fp16

    content = model.path.read_bytes()
    proto = onnx.load_model_from_string(content)
    _check_types(model, proto)
    found = precision_of(proto)
    if found == "fp16" and recipe.precision == "fp32":
        raise EngineError(
            f"{model.path}: the model is typed in float16, and its digits are gone; expected a float32 model for "
            "precision fp32: convert the checkpoint with `brats-trt convert --precision fp32`, or build in fp16"
        )
    if found != recipe.precision:
        try:
            content = to_fp16(proto)
        except EngineError as fault:
            raise EngineError(f"{model.path}: {fault}") from None
    return _rewritten(model, content, recipe) if recipe.rewritten else content


def _rewritten(model: Model, content: bytes, recipe: Recipe) -> bytes:
    import onnx

    from ..export.rewrites import rewrite

    names: Any = recipe.variants  # which of them are known is for `rewrite` to say
    try:
        rewritten: bytes = rewrite(onnx.load_model_from_string(content), **names).SerializeToString()
    except EngineError as fault:
        raise EngineError(f"{model.path}: {fault}") from None
    return rewritten


def _check_types(model: Model, proto: ModelProto) -> None:
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    types = {value.type.tensor_type.elem_type for value in (*inputs, *proto.graph.output)}
    if len(types) > 1:
        raise EngineError(
            f"{model.path}: the model's input and output are of two types; expected float32 or float16 for both: "
            "convert it again with `brats-trt convert --io`"
        )
