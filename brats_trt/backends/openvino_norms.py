"""Instance normalisation with sums that float32 can hold.

OpenVINO's MVN adds all voxels of a channel one after the other in float32. Over 128^3 voxels that is wrong by up to
1 % of the variance, enough to move single voxels of the network's softmax by 0.03. Sums of blocks, and then of the
blocks' sums, bring that to 3e-5. What it costs and gains stands in docs/accuracy.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Up to this many voxels, sums in a row lose no more than float32's rounding elsewhere.
_LONGEST_SUM = 16**3
_BLOCK = 8  # voxels along each axis: 512 in a block, and 16^3 blocks in 128^3
_NO_PADDING = [0, 0, 0]


def sum_norms_in_blocks(model: Any, opset: Any, precision: str) -> int:
    """Make every norm over many voxels take its sums in blocks, in place.

    In FP32 the norm is spelt out, mean and variance both from blocks. In 16 bits the averages of squares would be
    rounded to 16 bits, so only the mean is taken off beforehand, and OpenVINO's norm, which sums in float32, does the
    rest.

    Parameters
    ----------
    model
        An `openvino.Model` of 5-D tensors.
    opset
        OpenVINO's operator set, `openvino.opset13`.
    precision
        What the model will be compiled for: "fp32", "bf16" or "fp16".

    Returns
    -------
    How many norms were changed.
    """
    norms = [node for node in model.get_ops() if node.get_type_name() == "MVN"]
    changed = [norm for norm in norms if math.prod(norm.input_value(0).get_shape()[2:]) > _LONGEST_SUM]
    for norm in changed:
        if precision == "fp32":
            _spell_out(norm, opset)
        else:
            norm.input(0).replace_source_output(_centred(norm, opset))
    model.validate_nodes_and_infer_types()
    return len(changed)


def _centred(norm: Any, opset: Any) -> Any:
    source = norm.input_value(0)
    return opset.subtract(source, _mean(source, opset)).output(0)


def _spell_out(norm: Any, opset: Any) -> None:
    """Put (x - mean) / sqrt(variance + eps) in the place of an MVN."""
    centred = _centred(norm, opset)
    variance = _mean(opset.multiply(centred, centred).output(0), opset)
    epsilon = np.float32(norm.get_attributes()["eps"])
    scale = opset.divide(np.float32(1), opset.sqrt(opset.add(variance, epsilon)))
    normal = opset.multiply(centred, scale)
    normal.set_friendly_name(norm.get_friendly_name())
    for target in norm.output(0).get_target_inputs():
        target.replace_source_output(normal.output(0))


def _mean(value: Any, opset: Any) -> Any:
    """Over the three spatial axes, kept as axes of one."""
    block = [math.gcd(n, _BLOCK) for n in value.get_shape()[2:]]
    blocks = opset.avg_pool(value, block, _NO_PADDING, _NO_PADDING, block, exclude_pad=True)
    return opset.reduce_mean(blocks, np.array([2, 3, 4]), keep_dims=True)
