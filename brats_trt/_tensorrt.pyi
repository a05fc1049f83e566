"""Runs TensorRT engines; the library is loaded at run time. Faults are raised as `brats_trt.EngineError`."""

from typing import Any

flavour: str  # "tensorrt" or "tensorrt-rtx", after the headers it was compiled with
headers_version: str  # such as "10.14.1"; libraries of this major are driven
library_names: tuple[str, ...]  # the file names of such libraries, the whole runtime first
poisons_by_default: bool  # in debug builds

class Library:
    """A TensorRT library with its runtime, on one CUDA device."""

    def __init__(
        self, path: str = "", *, device: int = 0, host_code: bool = False, driver: str = "libcuda.so.1"
    ) -> None:
        """Load it; an empty path means the system's. The device is demanded first.

        `host_code` lets plans bring code for the host, as version-compatible ones do: for trusted plans only.
        """

    @property
    def path(self) -> str:
        """As it was loaded."""

    @property
    def version(self) -> str:
        """Of the library, such as "10.16.1"."""

    @property
    def device(self) -> int:
        """The CUDA device's number."""

    @property
    def device_name(self) -> str:
        """As its maker calls it."""

    @property
    def compute_capability(self) -> tuple[int, int]:
        """Major and minor."""

class Tensor:
    """An input or output of an engine, dense in C order on the device."""

    @property
    def name(self) -> str:
        """As in the ONNX model."""

    @property
    def dtype(self) -> str:
        """As NumPy calls it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of all axes."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""

    @property
    def input(self) -> bool:
        """Whether it is read, else written."""

class Engine:
    """A plan, deserialised; it holds its library."""

    def __init__(self, library: Library, plan: bytes | bytearray | memoryview) -> None:
        """Deserialise what a plan's file holds, and refuse what cannot run as it is."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Inputs and outputs, in the engine's order."""

    @property
    def scratch_nbytes(self) -> int:
        """Device memory that a context needs beside its tensors."""

    @property
    def refittable(self) -> bool:
        """Whether its weights can be exchanged."""

class Context:
    """One worker's way to run an engine; it holds the engine. Other threads are refused while one is in it."""

    def __init__(
        self, engine: Engine, *, graph: bool = True, poison: bool | None = None, share: Context | None = None
    ) -> None:
        """Take device memory, or share that of another context in turns.

        `graph` runs by a CUDA graph from the second run at the same addresses on. `poison` fills outputs with NaN
        before each run; None does so in debug builds.
        """

    def enqueue(self, arrays: dict[str, Any], stream: int) -> None:
        """Queue one run on a stream, by its handle, and return.

        `arrays` has for each tensor's name an address, or an array with `__cuda_array_interface__`, whose own stream
        is waited for. All must live until the run has ended.
        """

    def synchronise(self) -> None:
        """Wait until the last run has ended on the device; raises what went wrong there."""

    @property
    def captures(self) -> int:
        """How many graphs were captured so far."""

def layer_times(context: Context, arrays: dict[str, Any], stream: int, *, runs: int = 10) -> list[tuple[str, float]]:
    """Run without a graph and return each layer with its mean milliseconds, in the order of execution. Waits."""
