"""The network in C++ of our own (`csrc/network`), on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..errors import EngineError
from .cascade import UnknownGraphError, build_network
from .model import Model
from .precision import Precision, choose_precision


class NativeEngine:
    """A network of the cascade's layers, with all its memory.

    Raises
    ------
    UnknownGraphError
        If the graph is not the cascade's, or its channels do not fit the precision.
    EngineError
        If the processor lacks the precision.
    """

    runtime = "native"

    def __init__(self, model: Model, *, precision: Precision = "auto", threads: int | None = None) -> None:
        import onnx

        self.model = model
        self.precision = choose_precision(model, self.runtime, precision, _host.network_precisions())
        try:
            self._network = build_network(
                onnx.load(str(model.path)),
                model.size,
                lambda size: _host.Network(size, precision=self.precision, threads=threads or 0),
            )
        except UnknownGraphError as fault:
            raise UnknownGraphError(f"{model.path}: {fault}: use runtime='openvino'") from None

    def infer(self, crop: NDArray[np.float32], softmax: NDArray[np.float32], absent: Sequence[int] = ()) -> None:
        """Run the network on one (1, 4, D, H, W) entry, into `softmax` of the same shape, both C-contiguous.

        The encoders of the channels in `absent` are left out where the encoders meet.

        Raises
        ------
        EngineError
            If memory runs out.
        """
        try:
            self._network.run(crop, softmax, absent)
        except MemoryError:
            raise EngineError(f"{self.model.path}: no memory for the network's tensors: free some") from None
