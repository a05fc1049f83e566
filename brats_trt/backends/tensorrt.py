"""TensorRT engines on a CUDA device, by the compiled module `_tensorrt`: the only module that imports it.

The module drives libraries of the TensorRT major whose headers it was compiled with. The library is loaded when an
engine is, from a path, from pip's packages or from the system.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import EngineError
from ..spec import Spec
from .device import Dim3
from .engine_tensors import EngineTensor, KnownTensors, check_tensors

if TYPE_CHECKING:
    from types import ModuleType

    from .._tensorrt import Engine, Library

# Packages of pip's that hold libraries, the whole runtime before the lean one.
_PACKAGES = ("tensorrt_libs", "tensorrt_lean_libs", "tensorrt_rtx_libs")


class PlanFile(Protocol):
    """The plan that a manifest describes."""

    @property
    def sha256(self) -> str:
        """Of the plan's file."""


class PlanRecipe(Protocol):
    """How the plan was built."""

    @property
    def precision(self) -> str:
        """What the network computes in."""

    @property
    def version_compatible(self) -> bool:
        """Whether the plan brings the code that later versions run it with."""


class PlanManifest(Protocol):
    """What an engine needs of the manifest beside its plan."""

    @property
    def spec(self) -> Spec | None:
        """The preprocessing that the network expects; None where whoever runs it knows."""

    @property
    def channels(self) -> int:
        """Of the network's input and of its output."""

    @property
    def plan(self) -> PlanFile:
        """The plan's identity."""

    @property
    def recipe(self) -> PlanRecipe:
        """How it was built."""

    @property
    def tensors(self) -> KnownTensors:
        """What it takes and gives."""

    @property
    def command(self) -> str:
        """The command line that builds it again."""


def import_runner() -> ModuleType:
    """The compiled module.

    Raises
    ------
    EngineError
        If the package was built without it; says how to build it.
    """
    try:
        from .. import _tensorrt
    except ImportError as fault:
        raise EngineError(
            f"brats_trt was built without its runner of TensorRT engines ({fault}): set TensorRT_ROOT to TensorRT's "
            "headers (or run scripts/fetch_headers.py in the source folder) and install brats_trt from source again"
        ) from None
    return _tensorrt


def packaged_library(names: tuple[str, ...]) -> str:
    """The first library of these names in pip's packages; "" where there is none, which stands for the system's."""
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for name in names:
                if (Path(folder) / name).is_file():
                    return str(Path(folder) / name)
    return ""


def open_library(path: Path | None = None, *, device: int = 0, host_code: bool = False) -> Library:
    """Load TensorRT on a CUDA device: what a manifest is checked against, and what engines are loaded with.

    Parameters
    ----------
    path
        Of the library; None looks into pip's packages, then asks the system.
    device
        The CUDA device's number.
    host_code
        Let plans bring code for the host, as version-compatible ones do. For plans that are trusted only.

    Raises
    ------
    EngineError
        Without the compiled module, a CUDA device or a library of its major version; says what to install.
    """
    runner = import_runner()
    name = packaged_library(runner.library_names) if path is None else str(path)
    library: Library = runner.Library(name, device=device, host_code=host_code)
    return library


class TensorRtEngine:
    """A plan with one execution context: a `DeviceEngine`. The manifest is to be checked before.

    Parameters
    ----------
    library
        A path, or one that is open already; None looks into pip's packages, then asks the system.
    graph
        Run by a CUDA graph from the second run at the same addresses on.
    device
        The CUDA device's number, where `library` is not open.

    Raises
    ------
    EngineError
        If there is nothing to run the plan with, TensorRT refuses it, or its tensors are not those of the pipeline or
        of the manifest.
    """

    runtime = "tensorrt"

    def __init__(
        self,
        plan: Path,
        manifest: PlanManifest,
        *,
        library: Path | Library | None = None,
        graph: bool = True,
        device: int = 0,
    ) -> None:
        try:
            data = plan.read_bytes()
        except OSError as fault:
            raise EngineError(f"{plan}: the plan cannot be read ({fault.strerror}); name a .plan file") from None
        runner = import_runner()
        if library is None or isinstance(library, Path):
            library = open_library(library, device=device, host_code=manifest.recipe.version_compatible)
        try:
            engine = runner.Engine(library, data)
            tensors = check_tensors(_tensors(engine), manifest.tensors, manifest.channels, manifest.command)
            self._source, self._target = tensors
            self._context = runner.Context(engine, graph=graph)
        except EngineError as fault:
            raise EngineError(f"{plan}: {fault}") from None
        self.spec: Spec | None = manifest.spec
        self.sha256: str = manifest.plan.sha256
        self.precision: str = manifest.recipe.precision
        self.size: Dim3 = (self._source.shape[2], self._source.shape[3], self._source.shape[4])
        self.half: bool = self._source.dtype == "float16"
        self.library: Library = library

    def enqueue(self, source: int, target: int, stream: Any) -> None:
        """Queue one inference between two addresses on the device.

        Parameters
        ----------
        source, target
            Addresses, multiples of 256 bytes, of float16 where `half`, else float32.
        stream
            An object with its handle in `ptr`, as CuPy's, or the handle. Not the legacy default stream with a graph.

        Raises
        ------
        EngineError
            If TensorRT or CUDA refuses, with TensorRT's own words, or another thread is in this engine.
        """
        arrays = {self._source.name: source, self._target.name: target}
        self._context.enqueue(arrays, getattr(stream, "ptr", stream))

    def layer_times(self, source: int, target: int, stream: Any, *, runs: int = 10) -> list[tuple[str, float]]:
        """Mean milliseconds of each layer over some runs without a graph; waits for them.

        Raises
        ------
        EngineError
            As `enqueue`.
        """
        arrays = {self._source.name: source, self._target.name: target}
        times: list[tuple[str, float]] = import_runner().layer_times(
            self._context, arrays, getattr(stream, "ptr", stream), runs=runs
        )
        return times


def _tensors(engine: Engine) -> list[EngineTensor]:
    return [EngineTensor(tensor.name, tensor.dtype, tuple(tensor.shape), tensor.input) for tensor in engine.tensors]
