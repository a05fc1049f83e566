"""MXNet checkpoints to ONNX: `convert` and what it reports.

checkpoint and symbol read the two files; attributes, call, spatial_operators and operators say what MXNet's operators
mean; network makes a graph of them, precision gives it types, onnx_file serialises it, conversion does it all.
"""

from __future__ import annotations

from .conversion import ConversionReport, convert

__all__ = ["ConversionReport", "convert"]
