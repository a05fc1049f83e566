"""What runs a model: which backend an engine and a device ask for, opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from .backends import Backend, StageOptions
from .errors import EngineError
from .spec import Spec

if TYPE_CHECKING:
    from .backends.cpu_engine import Runtime
    from .backends.precision import Precision

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class BackendChoices:
    """What only some backends look at."""

    runtime: Runtime
    precision: Precision
    spec: Spec | None
    threads: int | None
    self_check: bool
    largest_shape: tuple[int, int, int]


def open_backend(path: Path, device: Device, options: StageOptions, choices: BackendChoices) -> Backend:
    """Load an engine for a device, which "auto" takes from the file's kind.

    Raises
    ------
    EngineError
        If the engine cannot be read, does not fit, or cannot run on the device.
    ValueError
        If the device is not known.
    """
    if device not in get_args(Device):
        raise ValueError(f"device {device!r} is not known; expected one of {list(get_args(Device))}")
    is_model = path.suffix.lower() == ".onnx"
    if device == "cuda" or (device == "auto" and not is_model):
        return _cuda_backend(path, options, choices)
    if not is_model:
        raise EngineError(
            f"{path}: a plan runs on a GPU, but device='cpu' was asked for: name the .onnx file that it was built from"
        )
    from .backends.cpu import CpuBackend
    from .backends.cpu_engine import load_engine
    from .backends.model import read_model

    model = read_model(path, choices.spec)
    engine = load_engine(model, choices.runtime, precision=choices.precision, threads=choices.threads)
    return CpuBackend(engine, options.for_model(model.calibration), threads=choices.threads)


def _cuda_backend(path: Path, options: StageOptions, choices: BackendChoices) -> Backend:
    if choices.runtime != "auto":
        raise EngineError(
            f"runtime={choices.runtime!r} computes on the CPU, but {path} was asked for on a GPU: leave the runtime to "
            "the plan, or pass device='cpu' and an .onnx file"
        )
    from .backends.cupy_device import CupyDevice
    from .plans.loading import load_backend
    from .plans.manifest import manifest_path

    if path.suffix.lower() != ".onnx" and not manifest_path(path).exists():
        raise EngineError(
            f"{path}: expected an .onnx file from `brats-trt convert`, or a plan from `brats-trt build` with its "
            f"manifest {manifest_path(path).name} beside it"
        )
    return load_backend(
        path,
        CupyDevice(),
        options,
        precision=choices.precision,
        spec=choices.spec,
        self_check=choices.self_check,
        largest_shape=choices.largest_shape,
    )
