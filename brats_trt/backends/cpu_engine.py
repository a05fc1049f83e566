"""Which runtime computes a model's network on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..errors import EngineError
from .model import Model
from .precision import Precision

Runtime = Literal["auto", "native", "openvino"]


class CpuEngine(Protocol):
    """A network that is ready to run.

    Attributes
    ----------
    runtime
        "native" or "openvino".
    precision
        "fp32", "bf16" or "fp16".
    """

    runtime: str
    model: Model
    precision: str

    def infer(self, crop: NDArray[np.float32], softmax: NDArray[np.float32], absent: Sequence[int] = ()) -> None:
        """Run it on one (1, 4, D, H, W) entry, into `softmax` of the same shape, both C-contiguous.

        The encoders of the channels in `absent` are left out where the encoders meet, whatever those channels hold.
        """


def load_engine(model: Model, runtime: Runtime, *, precision: Precision, threads: int | None) -> CpuEngine:
    """Make an engine of a model.

    Parameters
    ----------
    runtime
        "auto" is "native" for every graph that it knows, in the precisions that it has, and "openvino" for others.
    precision
        "fp32", "bf16", "fp16" or "auto".
    threads
        None is all cores.

    Raises
    ------
    EngineError
        If the runtime does not take the model, or the processor lacks the precision.
    """
    from .cascade import UnknownGraphError
    from .native import NativeEngine

    if runtime not in get_args(Runtime):
        raise EngineError(f"runtime {runtime!r} is not known; expected one of {list(get_args(Runtime))}")
    if runtime == "native" or (runtime == "auto" and precision in ("auto", *_host.network_precisions())):
        try:
            return NativeEngine(model, precision=precision, threads=threads)
        except UnknownGraphError:
            if runtime == "native":
                raise
    from .openvino import OpenVinoEngine

    return OpenVinoEngine(model, precision=precision, threads=threads)
