"""Rewrites of an exported graph: the same function by other operations, one named option each.

Which of them is fastest depends on the runtime and the device, so a tuner tries them.

A TensorRT plugin for the norm is not among them. TensorRT's ONNX parser takes its own plugin for the same graph where
NATIVE_INSTANCENORM is cleared, which neither version- nor hardware-compatible engines allow; TensorRT-RTX takes the
native layer in spite of it. A plugin of our own could be proven on a GPU only, and the optimiser fuses nothing with it.
What it would be for, sums in float32 over values in float16, "native_cast" and "decomposed" say in plain ONNX.
"""

from __future__ import annotations

from typing import get_args

import onnx

from ...errors import CaseError
from .apart import Encoders, part_encoders
from .deconvolution import Deconvolution, shuffle_deconvolutions
from .draft import Draft
from .grouped import Grouped, widen_groups
from .norms import Norm, rewrite_norms
from .scaling import Scale, scale_values

__all__ = [
    "DECONVOLUTIONS",
    "ENCODERS",
    "GROUPED",
    "NORMS",
    "SCALES",
    "Deconvolution",
    "Encoders",
    "Grouped",
    "Norm",
    "Scale",
    "rewrite",
]

NORMS: tuple[Norm, ...] = get_args(Norm)
GROUPED: tuple[Grouped, ...] = get_args(Grouped)
DECONVOLUTIONS: tuple[Deconvolution, ...] = get_args(Deconvolution)
SCALES: tuple[Scale, ...] = get_args(Scale)
ENCODERS: tuple[Encoders, ...] = get_args(Encoders)


def rewrite(
    model: onnx.ModelProto,
    *,
    norm: Norm = "native_cast",
    grouped: Grouped = "as_is",
    deconvolution: Deconvolution = "as_is",
    scale: Scale = "as_is",
    encoders: Encoders = "joined",
) -> onnx.ModelProto:
    """A model that computes the same by other operations; metadata, inputs and outputs stay.

    Parameters
    ----------
    model
        As `brats_trt.export.convert` writes it; it is not changed.
    norm
        "native_cast": InstanceNormalization in float32, between casts in a network in FP16. "native_half": fed and
        giving float16, in a network in FP16. "decomposed": spelt out in float32.
    grouped
        "as_is"; "widened16", "widened32": groups of grouped convolutions are joined, with zeros between them, until
        each reads 16 or 32 channels; "dense": all are joined.
    deconvolution
        "as_is"; "pixel_shuffle": a 1x1x1 convolution to 8 times the channels and a reordering.
    scale
        "as_is"; "quarter", "sixteenth": all values between the input and the softmaxes so many times smaller, for a
        network in FP16 whose values pass 65504. "sixteenth" leaves no epsilon for "native_half".
    encoders
        "joined": one network of grouped convolutions, as the checkpoint has it; "apart": a network a modality, up to
        the maximum over them; "finest_joined": apart on all grids but the finest.

    Raises
    ------
    CaseError
        If an option is not known.
    EngineError
        If the model has a node that the rewrite does not fit, or is not valid ONNX.
    """
    for name, found, choices in (
        ("norm", norm, NORMS),
        ("grouped", grouped, GROUPED),
        ("deconvolution", deconvolution, DECONVOLUTIONS),
        ("scale", scale, SCALES),
        ("encoders", encoders, ENCODERS),
    ):
        if found not in choices:
            raise CaseError(f"{name} {found!r} is not known; expected one of {list(choices)}")
    draft = Draft(model)
    part_encoders(draft, encoders)
    scale_values(draft, scale)
    rewrite_norms(draft, norm)
    widen_groups(draft, grouped)
    shuffle_deconvolutions(draft, deconvolution)
    return draft.finish()
