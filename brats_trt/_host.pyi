"""The stages before and after the network, on the CPU."""

from typing import Any

from numpy import float32, uint8
from numpy.typing import NDArray

_Index = tuple[int, int, int]
_Box = tuple[_Index, _Index]

instruction_set: str

class Foreground:
    """Where a modality's foreground lies and what its intensities are."""

    @property
    def box(self) -> _Box: ...
    @property
    def count(self) -> int: ...
    @property
    def mean(self) -> float: ...
    @property
    def variance(self) -> float: ...
    @property
    def nonfinite(self) -> int: ...

def foreground(volume: NDArray[Any], *, slope: float = 1.0, intercept: float = 0.0, threads: int = 0) -> Foreground: ...
def gather(
    volume: NDArray[Any],
    box: _Box,
    out: NDArray[float32],
    channel: int,
    *,
    mean: float,
    variance: float,
    normalisation: str = "authors",
    slope: float = 1.0,
    intercept: float = 0.0,
    threads: int = 0,
) -> None: ...
def scatter(
    probabilities: NDArray[float32],
    box: _Box,
    out: NDArray[uint8],
    *,
    values: tuple[int, int, int, int],
    threads: int = 0,
) -> tuple[tuple[int, int, int, int], _Box]: ...
