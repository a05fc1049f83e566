"""Under what a measurement was taken. What the system hides is None, never a guess."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

from .. import __version__, _host
from ..segmenter import Segmenter
from .document import Cpu, Engine, Gpu, HostModule, Versions

_PROC = Path("/proc")
_SYSFS = Path("/sys/devices/system/cpu")
_NVIDIA_SMI_SECONDS = 20
_MIB = 2**20


def read_engine(segmenter: Segmenter, file: str, *, tta: bool, threads: int | None) -> Engine:
    """What a segmenter says of itself, under the name that its file was given by."""
    return Engine(
        file=file,
        sha256=segmenter.model_sha256,
        device=segmenter.device,
        runtime=segmenter.runtime,
        precision=segmenter.precision,
        tta=tta,
        threads=threads or _host.usable_cores(),
    )


def read_cpu(proc: Path = _PROC, sysfs: Path = _SYSFS) -> Cpu:
    """Model and clocks of the processor, as the kernel has them at this moment."""
    fields: dict[str, list[str]] = {}
    for line in _read(proc / "cpuinfo").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), []).append(value.strip())
    clocks = tuple(float(value) for value in fields.get("cpu MHz", ()) if _is_number(value))
    fastest = _read(sysfs / "cpu0" / "cpufreq" / "cpuinfo_max_freq").strip()  # kHz
    return Cpu(
        model=fields.get("model name", [None])[0],
        cores=_host.usable_cores(),
        mhz=clocks or None,
        max_mhz=float(fastest) / 1e3 if _is_number(fastest) else None,
    )


def read_gpu() -> Gpu:
    """The current CUDA device; clocks and driver by nvidia-smi, where it lists one GPU and so can mean no other.

    Raises
    ------
    EngineError
        Without a device.
    """
    from ..backends.cupy_device import CupyDevice

    name = CupyDevice().name
    rows = _nvidia_smi("--query-gpu=driver_version,clocks.sm,clocks.mem")
    if len(rows) != 1 or len(rows[0]) != 3:
        return Gpu(name, None, None, None)
    driver, sm, memory = rows[0]
    return Gpu(name, driver, _number(sm), _number(memory))


def device_memory_mib(pid: int | None = None) -> float | None:
    """Device memory of a process by nvidia-smi: its own, TensorRT's and the context's together; None where unsaid."""
    rows = _nvidia_smi("--query-compute-apps=pid,used_memory")
    own = str(pid or os.getpid())
    amounts = [_number(row[1]) for row in rows if len(row) == 2 and row[0] == own]
    held = [amount for amount in amounts if amount is not None]
    return sum(held) if held else None


def read_host_module() -> HostModule:
    """How the host module was compiled."""
    return HostModule(_host.instruction_set, _host.compiler, _host.build_flags)


def read_versions() -> Versions:
    """What is installed."""
    return Versions(
        brats_trt=__version__,
        python=platform.python_version(),
        kernel=f"{platform.system()} {platform.release()}",
        numpy=version("numpy"),
        openvino=_installed("openvino"),
        tensorrt=_installed("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
        tensorrt_rtx=_installed("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12"),
        cupy=_installed("cupy-cuda13x", "cupy-cuda12x", "cupy"),
    )


def load_average() -> float:
    """Of the minute before: processes that ran or waited to run."""
    return round(os.getloadavg()[0], 2)  # as the kernel has it


def reset_peak_rss(proc: Path = _PROC) -> bool:
    """Begin to count this process's peak resident set anew; False where the kernel does not do it."""
    try:
        (proc / "self" / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_rss_mib(proc: Path = _PROC) -> float | None:
    """The peak resident set of this process since `reset_peak_rss`."""
    for line in _read(proc / "self" / "status").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return float(value.split()[0]) * 1024 / _MIB  # of KiB, which the kernel calls kB
    return None


def _nvidia_smi(query: str) -> list[list[str]]:
    """Rows of nvidia-smi's answer, none where it is not there or fails."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_NVIDIA_SMI_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[cell.strip() for cell in row] for row in csv.reader(done.stdout.splitlines()) if row]


def _installed(*packages: str) -> str | None:
    """The version of the first that is there."""
    found = (each.version for package in packages for each in distributions(name=package))
    return next(found, None)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_number(text: str) -> bool:
    return _number(text) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
