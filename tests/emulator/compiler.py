"""Builds the runtime and kernel sources with g++, each once for a content.

Checked mode instruments every access with -fsanitize=thread, whose calls the runtime answers itself; the sanitizer's
own library is not linked. Its optimisation stays where one access in the source is one call site.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import source as sources

RUNTIME = Path(__file__).parent / "runtime"
_COMMON = ("-std=c++20", "-fPIC", "-pthread", "-fno-strict-aliasing", "-ffp-contract=off")
_MODES = {
    "checked": (
        "-DEMULATOR_CHECKED=1",
        "-fsanitize=thread",
        "-g1",
        "-O1",
        "-finline-small-functions",
        "-fno-tree-sra",  # would take a vector's access apart
        "-fno-ipa-sra",
        "-fno-thread-jumps",  # these would make two call sites of one access, or one of two
        "-fno-tree-ch",
        "-fno-crossjumping",
        "-fno-optimize-sibling-calls",
    ),
    "fast": ("-DEMULATOR_CHECKED=0", "-O3", "-g1"),
}
MODES = tuple(_MODES)
_FLUSHABLE = ("x86_64", "AMD64", "aarch64", "arm64")


@dataclass(frozen=True)
class Arithmetic:
    """How floating-point results are rounded.

    Attributes
    ----------
    fmad : bool
        Products that are added are fused with the sum, as CUDA's compilers do unless told otherwise; which product of
        two is the host compiler's choice, as on the device it is theirs.
    ftz : bool
        Subnormal operands and results count as zero, as under `-ftz=true`; doubles too, which a device keeps.
    """

    fmad: bool = False
    ftz: bool = False

    def __post_init__(self) -> None:
        if self.ftz and platform.machine() not in _FLUSHABLE:
            raise ValueError(f"ftz=True on {platform.machine()}: only x86-64 and aarch64 flush subnormals on request")

    @property
    def options(self) -> tuple[str, ...]:
        """The compiler's."""
        if not self.fmad:
            return ()
        wide = ("-mfma",) if platform.machine() in ("x86_64", "AMD64") else ()
        # The pass that fuses is one of the expensive ones, which checked mode leaves out.
        return ("-ffp-contract=fast", "-fexpensive-optimizations", "-DEMULATOR_FMAD=1", *wide)


def cache_folder() -> Path:
    """Where builds are kept: EMULATOR_CACHE, or a folder of the user's in the temporary folder."""
    folder = Path(os.environ.get("EMULATOR_CACHE") or Path(tempfile.gettempdir()) / f"cuda-emulator-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; set EMULATOR_CACHE to a folder of your own")
    return folder


def compiler() -> str:
    """The compiler: CXX, or g++.

    Raises
    ------
    RuntimeError
        Where there is none.
    """
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"the emulator compiles with {name}, which is not there; install g++ 12 or later or set CXX")
    return path


def build_runtime() -> Path:
    """The runtime's shared library."""
    digest = _digest([_runtime_text(), " ".join(_COMMON), compiler()])
    name = f"emulator-runtime-{digest}.so"
    target = cache_folder() / name
    if not target.exists():
        options = ["-O2", "-shared", f"-Wl,-soname,{name}"]
        with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
            built = Path(scratch) / name
            _run([compiler(), *_COMMON, *options, str(RUNTIME / "runtime.cpp"), "-o", str(built)])
            os.replace(built, target)
    return target


def build_program(
    source: str, *, name: str, mode: str, defines: Mapping[str, object], arithmetic: Arithmetic = Arithmetic()
) -> Path:
    """The shared library of a kernel source.

    Raises
    ------
    RuntimeError
        With the compiler's message where the source does not compile.
    """
    if mode not in _MODES:
        raise ValueError(f"mode {mode!r}: expected one of {', '.join(_MODES)}")
    runtime = build_runtime()
    entries = "".join(f"EMULATOR_ENTRY({kernel.name})\n" for kernel in sources.kernels(source))
    text = f'#line 1 "{name}"\n{sources.rewrite_shared(source)}\n#line 1 "kernel entries"\n{entries}'
    given = [f"-D{key}={value}" for key, value in defines.items()]
    options = [*_COMMON, *_MODES[mode], *arithmetic.options, *given]
    digest = _digest([runtime.name, text, *options])
    target = cache_folder() / f"program-{digest}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            scratch = Path(folder)
            (scratch / "program.cpp").write_text(text, encoding="utf-8")
            includes = [f"-I{RUNTIME / 'include'}", "-include", str(RUNTIME / "kernel.hpp")]
            compile_only = ["-c", "program.cpp", "-o", "program.o"]
            _run([compiler(), *options, "-w", *includes, *compile_only], cwd=scratch)
            # The runtime is loaded before the program, so its name is enough.
            link = ["-shared", "-Wl,-Bsymbolic", "program.o", str(runtime), "-o", "program.so"]
            _run([compiler(), *link], cwd=scratch)
            os.replace(scratch / "program.so", target)
    return target


def source_line(library: Path, offset: int) -> str | None:
    """The "file:line" of the call that returns to `offset` in the library, or None where that is not known."""
    tool = shutil.which("addr2line")
    if tool is None or offset <= 0:
        return None
    done = subprocess.run([tool, "-e", str(library), hex(offset - 1)], capture_output=True, text=True, check=False)
    place = done.stdout.strip().split(" ")[0]
    if not place or place.startswith("?") or place.endswith(":?"):
        return None
    return place.rsplit("/", 1)[-1]


def _runtime_text() -> str:
    files = sorted(path for path in RUNTIME.rglob("*") if path.suffix in {".hpp", ".cpp", ".h"})
    return "".join(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in files)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the kernel source does not compile:\n{done.stderr.strip()}")
