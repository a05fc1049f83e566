"""Compile every kernel with NVRTC for every architecture, and report registers, spills, shared memory and occupancy.

python scripts/kernel_report.py [--markdown FILE]

Needs no GPU: `pip install nvidia-cuda-nvrtc`. The options are those that CuPy passes. Exit code 1 if a kernel does not
compile or spills.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import sys
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from brats_trt.kernels import KERNELS, kernel_source

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
# What CuPy 14.2 passes: the caller's -std, then its own, then -arch. Source: cupy/cuda/compiler.py.
CUPY_OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")
READS_VOLUMES = ("foreground", "crop_moments", "gather", "align_moments", "align")
STORED = ("int16", "uint8", "float16", "float32", "float64")
THREADS = {"plan": 128}  # all others 256

# Of a multiprocessor: registers, shared bytes, threads. Source: the CUDA C++ programming guide, "Compute Capabilities".
LIMITS = {
    "sm_75": (65536, 65536, 1024),
    "sm_80": (65536, 167936, 2048),
    "sm_86": (65536, 102400, 1536),
    "sm_89": (65536, 102400, 1536),
    "sm_90": (65536, 233472, 2048),
    "sm_100": (65536, 233472, 2048),
    "sm_120": (65536, 102400, 1536),
}

_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers(.*?)\n",
    re.DOTALL,
)
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Usage:
    """What one kernel takes on one architecture."""

    kernel: str
    variant: str
    architecture: str
    registers: int
    spilled: int
    shared: int

    @property
    def occupancy(self) -> float:
        """Resident threads over the most that a multiprocessor holds."""
        registers, shared, threads = LIMITS[self.architecture]
        block = THREADS.get(self.kernel, 256)
        allocated = -(-self.registers // 8) * 8 * block
        blocks = min(registers // allocated, threads // block, shared // self.shared if self.shared else threads)
        return blocks * block / threads


class Nvrtc:
    """NVIDIA's run-time compiler, from its wheel."""

    def __init__(self) -> None:
        package = files("nvidia-cuda-nvrtc") or []
        library = next(file for file in package if re.search(r"libnvrtc\.so", file.name))
        self._library = ctypes.CDLL(str(library.locate()))

    def compile(self, source: str, architecture: str) -> str:
        """Compile to machine code; the log, with ptxas's words on each kernel.

        Raises
        ------
        RuntimeError
            With the log, if the source does not compile.
        """
        options = [*CUPY_OPTIONS, f"-arch={architecture}", "--ptxas-options=-v"]
        program = ctypes.c_void_p()
        self._library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
        given = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        failed = self._library.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        self._library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self._library.nvrtcGetProgramLog(program, log)
        self._library.nvrtcDestroyProgram(ctypes.byref(program))
        text = log.value.decode()
        if failed:
            raise RuntimeError(f"{architecture}: {text}")
        return text


def variants(kernel: str) -> dict[str, str]:
    """The sources of a kernel, by what sets them apart."""
    if kernel in ("gather", "align"):
        return {
            f"{stored} to {'float16' if half else 'float32'}": kernel_source(kernel, stored=stored, half=half)
            for stored in STORED
            for half in (False, True)
        } | {"int16 to float16, the card's": kernel_source(kernel, stored="int16", half=True, card=True)}
    if kernel in READS_VOLUMES:
        card = kernel.endswith("_moments")
        return {stored: kernel_source(kernel, stored=stored, card=card) for stored in STORED}
    if kernel == "interleave":
        return {"float16" if half else "float32": kernel_source(kernel, half=half) for half in (False, True)}
    return {"": kernel_source(kernel)}


def measure(nvrtc: Nvrtc, architecture: str) -> list[Usage]:
    """The usage of every kernel and variant."""
    found = []
    for kernel in KERNELS:
        for variant, source in variants(kernel).items():
            log = nvrtc.compile(source, architecture)
            for name, stores, loads, registers, rest in _ENTRY.findall(log):
                shared = _SHARED.search(rest)
                spilled = int(stores) + int(loads)
                found.append(
                    Usage(name, variant, architecture, int(registers), spilled, int(shared[1]) if shared else 0)
                )
    return found


def table(usages: list[Usage]) -> str:
    """Markdown, a row a kernel and variant, a column an architecture."""
    rows: dict[tuple[str, str], dict[str, Usage]] = {}
    for usage in usages:
        rows.setdefault((usage.kernel, usage.variant), {})[usage.architecture] = usage
    lines = [
        f"| kernel | variant | shared bytes | {' | '.join(ARCHITECTURES)} |",
        f"| --- | --- | --- |{' --- |' * len(ARCHITECTURES)}",
    ]
    for (kernel, variant), by_architecture in rows.items():
        cells = [f"{u.registers}, {u.occupancy:.0%}" for u in by_architecture.values()]
        shared = max(u.shared for u in by_architecture.values())
        lines.append(f"| {kernel} | {variant} | {shared} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    arguments = parser.parse_args()

    nvrtc = Nvrtc()
    usages = [usage for architecture in ARCHITECTURES for usage in measure(nvrtc, architecture)]
    text = table(usages)
    print("Registers a thread and occupancy:\n\n" + text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n", encoding="utf-8")
    spilling = [usage for usage in usages if usage.spilled]
    for usage in spilling:
        print(f"{usage.kernel} {usage.variant} spills {usage.spilled} bytes on {usage.architecture}", file=sys.stderr)
    sys.exit(1 if spilling else 0)


if __name__ == "__main__":
    main()
