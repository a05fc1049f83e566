"""`brats-trt doctor`: what is installed, what runs here, what to do for the rest."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__, _host
from ..errors import BratsTrtError, EngineError
from ..notice import NOTICE
from .console import one_line, stdout

_PACKAGES = (
    "numpy",
    "nibabel",
    "isal",
    "connected-components-3d",
    "onnx",
    "openvino",
    "pillow",
    "rich",
    "scipy",
    "typer",
)
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")


def examine(
    engine: Annotated[Path | None, typer.Option(metavar="E", help="Check this model, not the demo model.")] = None,
) -> None:
    """Say what is installed, what runs here and what to do for the rest."""
    sections = {
        "brats_trt": f"{__version__}, host stages for {_host.instruction_set}",
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0))),
        **{name: _installed(name) for name in _PACKAGES},
    }
    fault, model = _check_model(engine)
    sections["model"] = model
    sections["gpu"] = _gpu()
    sections["cupy"] = _cupy()
    sections |= {name: _library(name) for name in ("tensorrt", "tensorrt-rtx")}
    sections["runner"] = _runner()
    width = max(map(len, sections))
    for name, finding in sections.items():
        stdout().print(f"{name:<{width}}  {finding}", markup=False)
    stdout().print(NOTICE)
    if fault:
        raise typer.Exit(2)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"missing: pip install {package}"


def _check_model(engine: Path | None) -> tuple[bool, str]:
    from ..segmenter import Segmenter

    try:
        segmenter = Segmenter(engine)
    except BratsTrtError as error:
        return True, one_line(error)
    from ..backends.openvino import cpu_precisions

    name = "the demo model" if engine is None else str(engine)
    return False, (
        f"{name} runs on the {segmenter.device} in {segmenter.precision}, runtime {segmenter.runtime} (this processor "
        f"has {', '.join(_host.network_precisions())} natively, {', '.join(cpu_precisions())} in OpenVINO); "
        f"sha256 {segmenter.model_sha256}"
    )


def _cupy() -> str:
    from ..backends.cupy_device import CupyDevice

    found = [f"{name} {version(name)}" for name in _CUPY if _is_installed(name)]
    try:
        device = CupyDevice()
    except EngineError as fault:
        return "; ".join((*found, one_line(fault)))
    major, minor = device.compute_capability
    return "; ".join((*found, f"{device.name}, compute capability {major}.{minor}"))


def _library(name: str) -> str:
    from ..plans.flavour import load_flavour

    try:
        flavour = load_flavour(name)
    except EngineError as fault:
        return one_line(fault)
    return f"{flavour.version}; builds plans {'where a GPU is' if flavour.needs_gpu else 'with or without a GPU'}"


def _runner() -> str:
    """What runs TensorRT's plans: the compiled module, and the library that it would load."""
    from ..backends.tensorrt import import_runner, open_library, packaged_library
    from ..plans.flavour import INSTALL

    try:
        runner = import_runner()
    except EngineError as fault:
        return one_line(fault)
    drives = f"drives {runner.flavour} {runner.headers_version} and later of its major"
    packaged = packaged_library(runner.library_names)
    found = packaged or f"no {runner.library_names[0]} in pip's packages ({INSTALL[runner.flavour]})"
    try:
        library = open_library()
    except EngineError as fault:
        return f"{drives}; {found}; {one_line(fault)}"
    return f"{drives}; {library.path} of version {library.version} on {library.device_name}"


def _is_installed(package: str) -> bool:
    return not _installed(package).startswith("missing")


def _gpu() -> str:
    if not Path("/proc/driver/nvidia/version").exists():
        return "no NVIDIA driver; everything runs on the CPU"
    return "an NVIDIA driver is there; a plan, or a model with device cuda, runs on the GPU"
