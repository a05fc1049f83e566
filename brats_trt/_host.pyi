"""The stages before and after the network, on the CPU."""

from collections.abc import Sequence
from typing import Any

from numpy import float32, uint8
from numpy.typing import NDArray

_Weights = NDArray[float32]
_Index = tuple[int, int, int]
_Box = tuple[_Index, _Index]
_Map = Sequence[Sequence[float]] | NDArray[Any]

instruction_set: str
compiler: str
build_flags: str

class Foreground:
    """Where a modality's foreground lies and what its intensities are."""

    @property
    def box(self) -> _Box:
        """Half-open, in voxels; the tightest around the foreground, zeros without one."""

    @property
    def count(self) -> int:
        """Voxels that are finite and above zero."""

    @property
    def mean(self) -> float:
        """Over the foreground."""

    @property
    def variance(self) -> float:
        """Over the foreground (ddof 0)."""

    @property
    def nonfinite(self) -> int:
        """NaN and infinite voxels, which count as background."""

class Network:
    """A cascade of 3-D U-Nets, built layer by layer; tensors are named by numbers, the input is 0.

    Layers raise ValueError where they do not fit.
    """

    def __init__(
        self, size: Sequence[int], *, precision: str, threads: int = 0, instruction_set: str | None = None
    ) -> None: ...
    @property
    def instruction_set(self) -> str:
        """What its kernels were compiled for."""

    @property
    def nbytes(self) -> int:
        """Of all tensors and weights."""

    def average(self, tensor: int) -> int:
        """Means over 2x2x2 voxels of the input or of such means."""

    def convolve_first(self, tensor: int, weights: _Weights, bias: _Weights | None = None) -> int:
        """3x3x3 of the input, a group a channel."""

    def convolve(
        self,
        tensor: int,
        *,
        norm: tuple[_Weights, _Weights, float],
        groups: int,
        weights: _Weights,
        bias: _Weights | None = None,
        residual: int | None = None,
    ) -> int:
        """3x3x3 behind an instance norm (gamma, beta, epsilon) and a ReLU, plus a residual tensor."""

    def reduce(self, tensor: int, *, groups: int, weights: _Weights, bias: _Weights | None = None) -> int:
        """3x3x3 with stride 2."""

    def mix(self, sources: Sequence[tuple[int, int]], weights: _Weights, bias: _Weights | None = None) -> int:
        """1x1x1 of (tensor, parts) one behind the other; of several equal parts the greatest is taken."""

    def expand(self, source: tuple[int, int], weights: _Weights, bias: _Weights | None = None) -> int:
        """2x2x2 with stride 2, transposed, of (tensor, parts)."""

    def classify(self, tensor: int, weights: _Weights, bias: _Weights | None = None) -> int:
        """1x1x1 to four classes, and their softmax."""

    def run(self, crop: NDArray[float32], softmax: NDArray[float32], absent: Sequence[int] = ...) -> None:
        """Run on float32 (4, D, H, W), into `softmax` of that shape; both C-contiguous. Calls wait for each other.

        The parts of the channels in `absent` are left out wherever the greatest of four parts is taken.
        """

class NotFiniteError(ArithmeticError):
    """The network gave a NaN or an infinity."""

def usable_cores() -> int:
    """The cores that this process may run on."""

def network_precisions() -> tuple[str, ...]:
    """The precisions that networks run in natively on this processor."""

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
) -> None:
    """Crop a (X, Y, Z) volume to a half-open box, normalise and resample it into out[:, channel].

    `out` is float32 (1 or 2, 4, D, H, W), C-contiguous; a second entry is mirrored along axis y. `mean` and `variance`
    are those of the whole foreground. Raises ValueError where arrays or box do not fit or the foreground is constant.
    """

def align(
    volume: NDArray[Any],
    matrix: _Map,
    out: NDArray[float32],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    threads: int = 0,
) -> None:
    """Resample a (X, Y, Z) volume of any real dtype onto the grid of `out`, trilinearly.

    `matrix` is (3, 4): from a voxel of `out` to a position in the volume, both in voxels. `out` is float32,
    C-contiguous, and written everywhere. A voxel reaches half a voxel beyond its centre; further out, and where the
    volume is not finite, is 0. Raises ValueError where the arrays do not fit or the map is not finite.
    """

def scatter(
    probabilities: NDArray[float32],
    box: _Box,
    out: NDArray[uint8],
    *,
    values: tuple[int, int, int, int],
    threads: int = 0,
) -> tuple[tuple[int, int, int, int], _Box]:
    """Resample float32 (1 or 2, 4, D, H, W) probabilities back to a half-open box of `out`, a (X, Y, Z) uint8 array.

    `out` is written everywhere. Returns the voxels of each class, and the tightest box around classes 1 to 3. Raises
    ValueError where arrays or box do not fit, NotFiniteError where a probability is not finite.
    """

def restore(
    probabilities: NDArray[float32],
    matrix: _Map,
    out: NDArray[uint8],
    *,
    values: tuple[int, int, int, int],
    threads: int = 0,
) -> tuple[tuple[int, int, int, int], _Box]:
    """Resample float32 (1 or 2, 4, D, H, W) probabilities onto the grid of `out`, a (X, Y, Z) uint8 array.

    As `scatter`, onto any grid: `matrix` is (3, 4), from a voxel of `out` to a sample of the probabilities. A sample
    reaches half a sample beyond its place; values[0] is written further out.
    """
