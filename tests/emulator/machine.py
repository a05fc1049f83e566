"""The emulator: owns memory, compiles programs, launches kernels."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import compiler, structures
from . import source as sources
from .arguments import Arguments, Parameter
from .fault import FORGIVABLE, KINDS, KernelFault
from .memory import Buffer, Store, allocate_store
from .report import Report, buffer_report, shared_report

_EXITED = {"early": 0, "allowed": 1, "fault": 2}
_MOST_THREADS = 1024
_MOST_SHARED_BYTES = 227 * 1024


class Emulator:
    """A device on the CPU.

    Parameters
    ----------
    threads : int
        Operating-system threads that run blocks; 1 makes the order of blocks, and so every result, reproducible.
        0 means all cores.
    """

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads or len(os.sched_getaffinity(0))
        self._stores: dict[str, Store] = {}
        self._unnamed = 0

    def allocate(self, nbytes: int, name: str | None = None, *, poison: bool = True) -> Buffer:
        """New memory of `nbytes` bytes: poisoned, and unwritten until written; or zeros."""
        store = allocate_store(self._fresh(name), nbytes, poison=poison)
        return self._adopt(store)

    def upload(self, values: npt.ArrayLike, name: str | None = None) -> Buffer:
        """New memory that holds a copy of an array."""
        array = np.ascontiguousarray(values)
        return self.allocate(array.nbytes, name).write(array)

    def register(self, array: npt.NDArray[np.generic], name: str | None = None, *, writable: bool = False) -> Buffer:
        """Lets kernels use an array's own memory. All of it counts as written; there are no guards around it."""
        if not array.flags.c_contiguous and not array.flags.f_contiguous:
            raise ValueError("only a contiguous array can be registered; allocate memory and write a copy")
        if writable and not array.flags.writeable:
            raise ValueError("the array is read-only; register it with writable=False")
        content = array.reshape(-1, order="A").view(np.uint8)
        return self._adopt(Store(self._fresh(name), content, writable=writable, tracked=False))

    def compile(
        self,
        source: str,
        *,
        name: str = "kernel.cu",
        mode: str = "checked",
        defines: Mapping[str, object] | None = None,
        fmad: bool = False,
        ftz: bool = False,
    ) -> Program:
        """A kernel source, compiled; from the cache where its content has been compiled before.

        Parameters
        ----------
        fmad : bool
            Fuse multiply-adds; by default products and sums round apart.
        ftz : bool
            Take subnormal operands and results for zero.

        Raises
        ------
        RuntimeError
            With the compiler's message where it does not compile.
        """
        arithmetic = compiler.Arithmetic(fmad=fmad, ftz=ftz)
        library = compiler.build_program(source, name=name, mode=mode, defines=defines or {}, arithmetic=arithmetic)
        return Program(self, library, sources.kernels(source), mode, flushes=ftz)

    def stores(self) -> list[Store]:
        """All memory, by address."""
        return sorted(self._stores.values(), key=lambda store: store.low)

    def _fresh(self, name: str | None) -> str:
        if name is None:
            self._unnamed += 1
            name = f"buffer{self._unnamed}"
        if name in self._stores:
            raise ValueError(f"there is a buffer {name!r} already; free it or take another name")
        return name

    def _adopt(self, store: Store) -> Buffer:
        self._stores[store.name] = store

        def release() -> None:
            if self._stores.get(store.name) is store:
                del self._stores[store.name]

        return Buffer(store.name, store.content, store, release)


class Program:
    """A compiled source. Made by `Emulator.compile`.

    Attributes
    ----------
    kernels : tuple of str
    """

    def __init__(
        self,
        machine: Emulator,
        library: Path,
        signatures: Sequence[sources.Signature],
        mode: str,
        *,
        flushes: bool = False,
    ) -> None:
        self._flushes = flushes
        self._machine = machine
        self._path = library
        self._mode = mode
        self._runtime = structures.load_runtime(str(compiler.build_runtime()))
        self._library = ctypes.CDLL(str(library))
        self._parameters = {each.name: self._describe(each) for each in signatures}
        self.kernels = tuple(self._parameters)

    def parameters(self, kernel: str) -> tuple[Parameter, ...]:
        """A kernel's parameters.

        Raises
        ------
        KeyError
            Where the program has no such kernel.
        """
        if kernel not in self._parameters:
            raise KeyError(f"no kernel {kernel!r}; there are {', '.join(self.kernels)}")
        return self._parameters[kernel]

    def write_symbol(self, name: str, values: npt.ArrayLike) -> None:
        """Writes a `__constant__` or `__device__` variable of global scope, as cudaMemcpyToSymbol does."""
        raw = np.ascontiguousarray(values).tobytes()
        ctypes.memmove((ctypes.c_char * len(raw)).in_dll(self._library, name), raw, len(raw))

    def launch(
        self,
        kernel: str,
        *,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[object] = (),
        shared_bytes: int = 0,
        count_every: int = 1,
        exited: str = "early",
        allow: Collection[str] = (),
    ) -> Report:
        """Runs a kernel to its end.

        Parameters
        ----------
        kernel : str
        grid, block : int or up to three ints
            x first.
        args : sequence
            A `Buffer` or an address for a pointer, a numpy scalar of the very type for a number, a structured scalar
            or bytes for a structure.
        shared_bytes : int
            Dynamic shared memory.
        count_every : int
            Count the traffic of one block in so many; 0 counts none. Checks are made in every block.
        exited : {"early", "allowed", "fault"}
            Threads that have returned and that others wait for at a barrier, or name in a mask: fine where they had
            not touched memory nor met a barrier, fine always (compute capability 7.0 and later), or never.
        allow : collection of str
            Kinds of fault to let pass, of `FORGIVABLE`.

        Raises
        ------
        KernelFault
            For the first fault. Memory is left as the kernel left it.
        TypeError, ValueError
            For arguments, a grid or options that do not fit.
        """
        arguments = Arguments(kernel, self.parameters(kernel), args)
        launch = structures.Launch()
        launch.call = ctypes.cast(getattr(self._library, f"emulator_call_{kernel}"), ctypes.c_void_p)
        launch.arguments = ctypes.cast(arguments.pointers, ctypes.POINTER(ctypes.c_void_p))
        launch.grid[:], launch.block[:] = _extent(grid), _extent(block)
        _check_extents(launch, shared_bytes)
        launch.shared_bytes = shared_bytes
        launch.workers = self._machine.threads
        launch.checked = self._mode == "checked"
        launch.flushes = self._flushes
        launch.count_every = count_every
        launch.exited = _choice(exited)
        launch.allowed = sum(1 << KINDS.index(_forgivable(kind)) for kind in allow)
        stores = self._machine.stores()
        entries = (structures.BufferEntry * max(1, len(stores)))(*[_entry(store) for store in stores])
        launch.buffers, launch.buffer_count = entries, len(stores)
        self._runtime.emulator_launch(ctypes.byref(launch))
        self._raise_fault(kernel, launch.fault, stores)
        if self._mode == "fast":
            self._after_fast(kernel, arguments, stores)
        return _report(kernel, launch, stores, {buffer.name for buffer in arguments.buffers})

    def _describe(self, signature: sources.Signature) -> tuple[Parameter, ...]:
        out = (structures.Parameter * (len(signature.parameters) + 1))()
        getattr(self._library, f"emulator_describe_{signature.name}")(out)
        return tuple(
            Parameter(text, each.kind.decode(), each.bytes)
            for text, each in zip(signature.parameters, out, strict=False)
        )

    def _raise_fault(self, kernel: str, fault: structures.FaultEntry, stores: Sequence[Store]) -> None:
        if fault.kind == 0:
            return
        text, store = fault.text.decode(), None
        if fault.buffer >= 0:
            store = stores[fault.buffer]
            text += f" at byte {fault.offset} of {store.name!r} ({store.content.nbytes} bytes)"
        self._library.emulator_image_base.restype = ctypes.c_void_p
        base = self._library.emulator_image_base()
        raise KernelFault(
            KINDS[fault.kind],
            text,
            kernel=kernel,
            block=_index(fault.block),
            thread=_index(fault.thread) if fault.has_thread else None,
            buffer=store.name if store else None,
            offset=fault.offset if store or "shared" in text else None,
            line=compiler.source_line(self._path, fault.site - base) if fault.site else None,
        )

    def _after_fast(self, kernel: str, arguments: Arguments, stores: Sequence[Store]) -> None:
        for buffer in arguments.outputs:  # nothing was noted: all of it may be written
            buffer.store.flags[:] = 1
        for store in stores:
            if not store.guards_intact():
                raise KernelFault("out of bounds", f"a write beside {store.name!r}", kernel=kernel, buffer=store.name)


def _entry(store: Store) -> structures.BufferEntry:
    return structures.BufferEntry(
        low=store.low,
        high=store.high,
        written=store.flags.ctypes.data if store.tracked else None,
        stamps=store.stamps.ctypes.data,
        writable=store.writable,
    )


def _report(kernel: str, launch: structures.Launch, stores: Sequence[Store], named: Collection[str]) -> Report:
    blocks = launch.grid[0] * launch.grid[1] * launch.grid[2]
    buffers = {
        store.name: buffer_report(entry)
        for store, entry in zip(stores, launch.buffers[: len(stores)], strict=True)
        if launch.counted_blocks
        and (store.name in named or entry.reads.requests or entry.writes.requests or entry.atomics)
    }
    return Report(
        kernel=kernel,
        threads=blocks * launch.block[0] * launch.block[1] * launch.block[2],
        blocks=blocks,
        counted_blocks=launch.counted_blocks,
        barriers=launch.barriers,
        collectives=launch.collectives,
        buffers=buffers,
        shared=shared_report(launch.shared),
    )


def _extent(given: int | Sequence[int]) -> tuple[int, int, int]:
    sizes = (given,) if isinstance(given, (int, np.integer)) else tuple(given)
    if not 1 <= len(sizes) <= 3 or any(int(size) < 1 for size in sizes):
        raise ValueError(f"a grid or block of {given}: expected one to three numbers of at least 1")
    x, y, z = (*(int(size) for size in sizes), 1, 1)[:3]
    return x, y, z


def _check_extents(launch: structures.Launch, shared_bytes: int) -> None:
    threads = launch.block[0] * launch.block[1] * launch.block[2]
    if threads > _MOST_THREADS or launch.block[2] > 64:
        raise ValueError(f"a block of {tuple(launch.block)}: at most {_MOST_THREADS} threads, and 64 along z")
    if launch.grid[1] > 65535 or launch.grid[2] > 65535:
        raise ValueError(f"a grid of {tuple(launch.grid)}: at most 65535 blocks along y and z")
    if not 0 <= shared_bytes <= _MOST_SHARED_BYTES:
        raise ValueError(f"{shared_bytes} bytes of shared memory: from 0 to {_MOST_SHARED_BYTES}")


def _choice(exited: str) -> int:
    if exited not in _EXITED:
        raise ValueError(f"exited={exited!r}: expected one of {', '.join(_EXITED)}")
    return _EXITED[exited]


def _forgivable(kind: str) -> str:
    if kind not in FORGIVABLE:
        raise ValueError(f"{kind!r} cannot be allowed; these can: {', '.join(FORGIVABLE)}")
    return kind


def _index(values: Sequence[int]) -> tuple[int, int, int]:
    return values[0], values[1], values[2]
