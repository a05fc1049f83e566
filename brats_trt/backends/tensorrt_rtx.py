"""TensorRT-RTX engines on a CUDA device, by the library's Python interface.

The runtime compiles a plan's kernels for the GPU when the engine is loaded. Each object of the library holds the one it
came from, so that none outlives it. A null pointer of the library is None here, or a TypeError from a constructor.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..spec import Spec
from .cupy_device import CupyDevice
from .device import Dim3
from .model import CLASSES

if TYPE_CHECKING:
    from ..plans.flavour import Flavour
    from ..plans.manifest import Manifest

_DTYPES = {"FLOAT": "float32", "HALF": "float16"}


@dataclass(frozen=True)
class _Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    is_input: bool


class RtxEngine:
    """A plan with one execution context: a `DeviceEngine`. The manifest is to be checked before.

    One thread runs it at a time; others wait.

    Raises
    ------
    EngineError
        Without a plan, a GPU or the library, if the library refuses the plan, or if its tensors are not those of the
        pipeline.
    """

    runtime = "tensorrt-rtx"

    def __init__(self, plan: Path, manifest: Manifest) -> None:
        from ..plans.flavour import load_flavour

        try:
            content = plan.read_bytes()
        except OSError as fault:
            raise EngineError(f"{plan}: the plan cannot be read ({fault.strerror}); name a .plan file") from None
        if manifest.recipe.stripped:
            raise EngineError(f"{plan}: the plan is stripped of its weights; build it without --stripped")
        self._flavour = load_flavour("tensorrt-rtx")
        self._device = CupyDevice()  # asked for first: without a GPU the library hands out objects that crash
        with self._device.current():
            engine = _deserialised(self._flavour, content, plan)
            self._source, self._target = _check_tensors(plan, engine)
            self._context = _context(self._flavour, engine, plan)
        self._plan = plan
        self._lock = threading.Lock()
        self.spec: Spec = manifest.spec
        self.sha256: str = manifest.plan.sha256
        self.precision: str = manifest.recipe.precision
        self.size: Dim3 = (self._source.shape[2], self._source.shape[3], self._source.shape[4])
        self.half: bool = self._source.dtype == "float16"

    def enqueue(self, source: int, target: int, stream: Any) -> None:
        """Queue one (1, 4, D, H, W) inference between two addresses on the device.

        Parameters
        ----------
        source, target
            Addresses of float16 where `half`, else float32.
        stream
            An object with its handle in `ptr`, as CuPy's, or the handle. Not the legacy default stream.

        Raises
        ------
        EngineError
            If the library refuses an address or the run, with its own words.
        """
        handle = getattr(stream, "ptr", stream)
        with self._lock, self._flavour.log.listening() as lines, self._device.current():
            for tensor, address in ((self._source, source), (self._target, target)):
                if not self._context.set_tensor_address(tensor.name, address):
                    raise _refusal(self._flavour, self._plan, f"the address {address:#x} of {tensor.name!r}", lines)
            if not self._context.execute_async_v3(handle):
                raise _refusal(self._flavour, self._plan, "the run", lines)


def _deserialised(flavour: Flavour, content: bytes, plan: Path) -> Any:
    module: Any = flavour.module
    with flavour.log.listening() as lines:
        try:
            engine = module.Runtime(flavour.logger).deserialize_cuda_engine(content)
        except TypeError:
            engine = None
    if engine is None:
        raise _refusal(flavour, plan, "the plan", lines)
    return engine


def _context(flavour: Flavour, engine: Any, plan: Path) -> Any:
    with flavour.log.listening() as lines:
        context = engine.create_execution_context()
    if context is None:
        raise _refusal(flavour, plan, "to make an execution context", lines)
    return context


def _refusal(flavour: Flavour, plan: Path, what: str, lines: list[str]) -> EngineError:
    from ..plans.log import reason

    return EngineError(
        f"{plan}: {flavour.title} refuses {what} ({reason(lines, 'no reason given')}): free memory on the GPU, or "
        "build the plan again with `brats-trt build`"
    )


def _check_tensors(plan: Path, engine: Any) -> tuple[_Tensor, _Tensor]:
    """The input and the output, after a look at both."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    tensors = [_tensor(engine, name) for name in names]
    inputs = [tensor for tensor in tensors if tensor.is_input]
    outputs = [tensor for tensor in tensors if not tensor.is_input]
    alike = len(inputs) == len(outputs) == 1 and (inputs[0].shape, inputs[0].dtype) == (
        outputs[0].shape,
        outputs[0].dtype,
    )
    shape = inputs[0].shape if alike and inputs[0].dtype in _DTYPES.values() else ()
    if len(shape) != 5 or shape[:2] != (1, CLASSES) or min(shape) < 1:
        raise EngineError(
            f"{plan}: the plan has the tensors {[f'{t.name}: {t.dtype} {t.shape}' for t in tensors]}; expected one "
            f"input and one output of (1, {CLASSES}, D, H, W), both float16 or both float32: build it from a model of "
            "`brats-trt convert`"
        )
    return inputs[0], outputs[0]


def _tensor(engine: Any, name: str) -> _Tensor:
    kind = str(engine.get_tensor_dtype(name).name)
    shape = tuple(int(axis) for axis in engine.get_tensor_shape(name))
    return _Tensor(name, _DTYPES.get(kind, kind.lower()), shape, engine.get_tensor_mode(name).name == "INPUT")
