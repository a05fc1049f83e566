"""TensorRT-RTX engines on a CUDA device, by the library's Python interface.

The runtime compiles a plan's kernels for the GPU when the engine is loaded. Each object of the library holds the one it
came from, so that none outlives it. A null pointer of the library is None here, or a TypeError from a constructor.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..spec import Spec
from .cupy_device import CupyDevice
from .device import Dim3
from .engine_tensors import EngineTensor, check_tensors
from .rtx_kernels import KernelCache

if TYPE_CHECKING:
    from ..plans.flavour import Flavour
    from ..plans.manifest import BasicManifest

_DTYPES = {"FLOAT": "float32", "HALF": "float16"}


class RtxEngine:
    """A plan with one execution context: a `DeviceEngine`. The manifest is to be checked before.

    One thread runs it at a time; others wait.

    Parameters
    ----------
    graph
        Have the library capture a CUDA graph in the second run and replay it from the third on. Off unless asked for:
        its documents do not say what a captured graph does when the addresses change, which mirror averaging has them
        do, and no GPU has shown it; `scripts/gpu_check` runs both ways.
    kernels
        The file in which compiled kernels are kept, see `rtx_kernels`; None compiles them each time.

    Raises
    ------
    EngineError
        Without a plan, a GPU or the library, if the library refuses the plan, or if its tensors are not those of the
        pipeline or of the manifest.
    """

    runtime = "tensorrt-rtx"

    def __init__(
        self, plan: Path, manifest: BasicManifest, *, graph: bool = False, kernels: Path | None = None
    ) -> None:
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
            self._source, self._target = _checked(plan, engine, manifest)
            config = _runtime_config(self._flavour, engine, plan, graph=graph)
            self._kernels = None if kernels is None else KernelCache(config, kernels)
            self._context = _context(self._flavour, engine, config, plan)
        self._unkept = self._kernels
        self._plan = plan
        self._lock = threading.Lock()
        self.spec: Spec | None = manifest.spec
        self.sha256: str = manifest.plan.sha256
        self.precision: str = manifest.recipe.precision
        self.size: Dim3 = (self._source.shape[2], self._source.shape[3], self._source.shape[4])
        self.half: bool = self._source.dtype == "float16"

    def enqueue(self, source: int, target: int, stream: Any) -> None:
        """Queue one inference between two addresses on the device.

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
            if self._unkept is not None:
                self._unkept.keep()
                self._unkept = None


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


def _runtime_config(flavour: Flavour, engine: Any, plan: Path, *, graph: bool) -> Any:
    strategies = flavour.module.CudaGraphStrategy
    strategy = strategies.WHOLE_GRAPH_CAPTURE if graph else strategies.DISABLED
    with flavour.log.listening() as lines:
        config = engine.create_runtime_config()
        if config is not None:
            config.cuda_graph_strategy = strategy
    if config is None or config.cuda_graph_strategy != strategy:
        raise _refusal(flavour, plan, f"a runtime configuration with the CUDA graph strategy {strategy.name}", lines)
    return config


def _context(flavour: Flavour, engine: Any, config: Any, plan: Path) -> Any:
    with flavour.log.listening() as lines:
        context = engine.create_execution_context(config)
    if context is None:
        raise _refusal(flavour, plan, "to make an execution context", lines)
    return context


def _refusal(flavour: Flavour, plan: Path, what: str, lines: list[str]) -> EngineError:
    from ..plans.log import reason

    return EngineError(
        f"{plan}: {flavour.title} refuses {what} ({reason(lines, 'no reason given')}): free memory on the GPU, or "
        "build the plan again with `brats-trt build`"
    )


def _checked(plan: Path, engine: Any, manifest: BasicManifest) -> tuple[EngineTensor, EngineTensor]:
    try:
        return check_tensors(_tensors(engine), manifest.tensors, manifest.channels, manifest.command)
    except EngineError as fault:
        raise EngineError(f"{plan}: {fault}") from None


def _tensors(engine: Any) -> list[EngineTensor]:
    return [_tensor(engine, engine.get_tensor_name(index)) for index in range(engine.num_io_tensors)]


def _tensor(engine: Any, name: str) -> EngineTensor:
    kind = str(engine.get_tensor_dtype(name).name)
    shape = tuple(int(axis) for axis in engine.get_tensor_shape(name))
    return EngineTensor(name, _DTYPES.get(kind, kind.lower()), shape, engine.get_tensor_mode(name).name == "INPUT")
