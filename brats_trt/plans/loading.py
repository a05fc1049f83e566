"""From what a user names, a plan or a model, to a backend on a GPU; a plan is checked before and after it is loaded."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..backends import PlanIdentity, StageOptions
from ..backends.cuda import CudaBackend
from ..errors import EngineError
from ..spec import Spec
from .cache import PlanWarning, Source, cached_plan, kernels_file
from .compatibility import check_manifest
from .flavour import FlavourName
from .golden import check_golden
from .manifest import BasicManifest, Manifest, RuntimeIdentity, read_manifest
from .recipe import PlanPrecision, Recipe

if TYPE_CHECKING:
    from .._tensorrt import Library
    from ..backends.device import Device, DeviceEngine

_MODULES: dict[FlavourName, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


class GpuRuntime:
    """One of the two libraries on a device: what plans are checked against and loaded with.

    Raises
    ------
    EngineError
        If the library, or the module that runs it, is not there; says what to install.
    """

    def __init__(self, flavour: FlavourName, device: Device, *, version_compatible: bool = False) -> None:
        self._device = device
        self._library: Library | None = None
        if flavour == "tensorrt":
            from ..backends.tensorrt import open_library

            self._library = open_library(device=device.index, host_code=version_compatible)
            version = self._library.version
        else:
            from .flavour import load_flavour

            version = load_flavour(flavour).version
        self.identity = RuntimeIdentity(flavour, version, device.name, device.compute_capability)

    def built(
        self,
        source: Source,
        recipe: Recipe,
        build: Callable[[Path], object],
        announcement: str,
        *,
        kind: type[BasicManifest] = Manifest,
    ) -> Path:
        """The cached plan of a model for this library and this GPU; built, and announced, where there is none."""

        def announced(output: Path) -> None:
            library = f"{self.identity.flavour} {self.identity.version}"
            message = f"{announcement} of {library} for {self._device.name}, once; it is kept"
            warnings.warn(message, PlanWarning, stacklevel=2)
            with self._device.current():
                build(output)

        return cached_plan(source, self.identity, recipe, announced, kind=kind)

    def open(self, plan: Path, manifest: BasicManifest, *, onnx_sha256: str | None = None) -> DeviceEngine:
        """Check a plan by its manifest, and load it.

        Raises
        ------
        EngineError
            If the plan does not fit its manifest, this library, this GPU or the model, or cannot be loaded.
        """
        check_manifest(manifest, plan, self.identity, onnx_sha256=onnx_sha256)
        return self.load(plan, manifest, kernels_file(manifest, self.identity))

    def load(self, plan: Path, manifest: BasicManifest, kernels: Path | None = None) -> DeviceEngine:
        """Deserialise a plan whose manifest was checked; `kernels` is where TensorRT-RTX keeps what it compiles."""
        if self._library is not None:
            from ..backends.tensorrt import TensorRtEngine

            return TensorRtEngine(plan, manifest, library=self._library)
        from ..backends.tensorrt_rtx import RtxEngine

        return RtxEngine(plan, manifest, kernels=kernels)


def load_backend(
    path: Path,
    device: Device,
    options: StageOptions,
    *,
    precision: str = "auto",
    spec: Spec | None = None,
    self_check: bool = True,
    **memory: Any,
) -> CudaBackend:
    """A backend for a plan, or for a model, of which a plan is built first where the cache has none.

    Parameters
    ----------
    precision
        "auto" is the plan's own, and FP16 where one is built.
    spec
        Taken instead of the preprocessing that the manifest names.
    self_check
        Run the golden crop and refuse an engine that does not give its counts.
    **memory
        Of `CudaBackend`.

    Raises
    ------
    EngineError
        If the plan does not fit its manifest, this library or this GPU, cannot be loaded or built, or fails its check.
    """
    is_model = path.suffix.lower() == ".onnx"
    plan = _built(path, device, precision) if is_model else path
    manifest = read_manifest(plan, Manifest)
    if precision not in ("auto", manifest.recipe.precision):
        raise EngineError(
            f"{plan}: the plan computes in {manifest.recipe.precision}, but precision={precision!r} was asked for: "
            f"build one with `brats-trt build --precision {precision}`, or leave the precision to the plan"
        )
    runtime = GpuRuntime(manifest.runtime.flavour, device, version_compatible=manifest.recipe.version_compatible)
    engine = runtime.open(plan, manifest if spec is None else replace(manifest, spec=spec))
    if self_check:
        check_golden(device, engine, manifest.golden, command=manifest.command)
    library = runtime.identity
    origin = PlanIdentity(manifest.plan.sha256, manifest.onnx.sha256, library.flavour, library.version)
    options = options.for_model(manifest.calibration)
    return CudaBackend(device, engine, options, plan=origin, calibration=manifest.calibration, **memory)


def _built(path: Path, device: Device, precision: str) -> Path:
    """The cached plan of a model for this library and this GPU; built, and said so, where there is none."""
    from ..backends.model import read_model
    from .builder import build_plan
    from .flavour import load_flavour

    if precision not in ("auto", "fp16", "fp32"):
        raise EngineError(f"precision {precision!r} does not run on a GPU here; expected 'auto', 'fp16' or 'fp32'")
    model = read_model(path)
    recipe = Recipe(precision=cast(PlanPrecision, "fp16" if precision == "auto" else precision))
    name = installed_runtime()

    def build(output: Path) -> None:
        build_plan(path, output, load_flavour(name), recipe)

    return GpuRuntime(name, device).built(model, recipe, build, f"{path}: building an engine")


def installed_runtime() -> FlavourName:
    """The library to build with: TensorRT before TensorRT-RTX."""
    for name, module in _MODULES.items():
        if importlib.util.find_spec(module) is not None:
            return name
    raise EngineError(
        "a model runs on a GPU as a plan, and neither TensorRT nor TensorRT-RTX is installed to build one: pip install "
        "'brats-trt[cuda13]' (or [cuda12], or [rtx]), or use device='cpu'"
    )
