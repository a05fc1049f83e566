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
    incomplete: bool  # cases may lack modalities


def open_backend(path: Path, device: Device, options: StageOptions, choices: BackendChoices) -> Backend:
    """Load an engine for a device, which "auto" takes from the file's kind.

    Raises
    ------
    EngineError
        If the engine cannot be read, does not fit, cannot run on the device, or cannot do without a modality where that
        is asked for.
    ValueError
        If the device is not known.
    """
    if device not in get_args(Device):
        raise ValueError(f"device {device!r} is not known; expected one of {list(get_args(Device))}")
    is_model = path.suffix.lower() == ".onnx"
    if device == "cuda" or (device == "auto" and not is_model):
        if choices.incomplete:
            raise EngineError(
                f"{path}: missing='mask' leaves modalities out on the CPU only, and this would run on a GPU: pass "
                "device='cpu' and an .onnx model, or give all four"
            )
        return _cuda_backend(path, options, choices)
    if not is_model:
        raise EngineError(
            f"{path}: a plan runs on a GPU, but device='cpu' was asked for: name the .onnx file that it was built from"
        )
    from .backends.cpu import CpuBackend
    from .backends.cpu_engine import load_engine
    from .backends.model import read_model

    model = read_model(path, choices.spec)
    if choices.incomplete and not model.takes_incomplete:
        raise EngineError(
            f"{path}: the model does not say that it was trained with modalities left out, so that missing='mask' "
            "would give labels that nobody has measured: choose a model that was, or give all four"
        )
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
