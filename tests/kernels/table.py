"""The table of cases that every witness of every stage answers.

A case is a head as somebody may have stored it, a network's size, and a tumour. Axes x, y, z are array axes 0, 1, 2;
memory orders are named from the fastest axis to the slowest.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import oracle
from volumes import head

Shape = tuple[int, int, int]

FACES = ("x-", "x+", "y-", "y+", "z-", "z+")
DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
)  # fmt: skip
ORDERS = ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx")
VIEWS = ("strided", "reversed", "mixed")
HOST_ONLY = ("big-endian", "read-only", "unaligned")
FACTORS = {"huge": 1e100, "tiny": 1e-100, "greatest": 7.5e36, "least": 1e-39, "all subnormal": 1e-42}
INTENSITIES = ("plain", "far from zero", "wide", "subnormal", *FACTORS)
ODD, EVEN = (21, 23, 19), (20, 24, 18)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes
    ----------
    memory
        One of `ORDERS`, `VIEWS` or `HOST_ONLY`.
    place
        Whether the kernels get the volume from the host, or use it where it lies on the device.
    touches
        The face of the grid that the foreground reaches, "all", "none", or "one voxel" for a foreground of just that.
    intensities
        "plain" are 1 to 120; "far from zero", lifted far above their own spread; "wide", multiplied until they fill
        the dtype; "subnormal", some below float32's least normal number, one of which makes the box larger; "huge"
        and "tiny", beyond float32's range; "greatest" and "least", at its ends, where the reciprocal of the deviation
        is subnormal or the deviation itself is; "all subnormal", all below its least normal number.
    nonfinite
        Whether some voxels are NaN or infinite.
    size
        Of the network's crop.
    batch
        2 with the mirrored entry.
    half
        Whether the network's tensors are float16.
    tumour
        A name in `tumours.TUMOURS`.
    """

    name: str
    shape: Shape = EVEN
    dtype: str = "int16"
    memory: str = "xyz"
    place: Literal["host", "device"] = "host"
    touches: str = "none"
    intensities: str = "plain"
    slope: float = 1.0
    intercept: float = 0.0
    nonfinite: bool = False
    size: Shape = (12, 13, 10)
    batch: int = 1
    half: bool = False
    normalisation: Literal["authors", "card"] = "authors"
    tumour: str = "scattered"
    label_values: tuple[int, int, int, int] = (0, 1, 2, 4)

    @property
    def has_crop(self) -> bool:
        """Whether there is a head to normalise: a mask and a single voxel are constant."""
        return self.dtype != "bool" and self.touches != "one voxel"

    @property
    def seed(self) -> int:
        """The case's own."""
        return zlib.crc32(self.name.encode())

    def volume(self) -> np.ndarray:
        """The voxels, in memory as the case says."""
        return in_memory(_values(self), self.memory)

    def values(self) -> np.ndarray:
        """What the voxels mean, in float64: zero for background."""
        return oracle.intensities(_values(self), self.slope, self.intercept)

    def box(self) -> tuple[Shape, Shape]:
        """As the authors slice it."""
        return oracle.authors_box([self.values()])

    def softmax(self) -> np.ndarray:
        """(batch, 4, *size) float32 that a network of the case's type could give."""
        random = np.random.default_rng(self.seed)
        scores = random.standard_normal((self.batch, 4, *self.size))
        for axis in (2, 3, 4):
            scores = scores + 0.7 * np.roll(scores, 1, axis)
        exponentials = np.exp(scores)
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities.astype(np.float16 if self.half else np.float32).astype(np.float32)


def _span(case: Case) -> tuple[Shape, Shape]:
    """Where the head is put, half-open."""
    if case.touches == "one voxel":
        lower = (case.shape[0] - 1, 0, case.shape[2] // 2)
        return lower, (lower[0] + 1, lower[1] + 1, lower[2] + 1)
    faces = FACES if case.touches == "all" else (case.touches,)
    lower = tuple(0 if f"{axis}-" in faces else 1 for axis in "xyz")
    upper = tuple(n if f"{axis}+" in faces else n - 1 for axis, n in zip("xyz", case.shape, strict=True))
    return lower, upper


@cache
def _values(case: Case) -> np.ndarray:
    """The voxels in Fortran order, read-only since they are shared."""
    values = head(case.shape, case.dtype, box=_span(case), seed=case.seed).copy(order="F")
    inside = values > 0
    if case.intensities == "far from zero":
        values[inside] += np.asarray({2: 30_000, 4: 1_000_000, 8: 1_000_000}[values.itemsize], values.dtype)
    elif case.intensities == "wide":
        values[inside] *= np.asarray(np.iinfo(values.dtype).max // int(values.max()), values.dtype)
    elif case.intensities in FACTORS:
        values[...] = values * np.float64(FACTORS[case.intensities])
    elif case.intensities == "subnormal":
        values[tuple(np.argwhere(inside)[::7].T)] = 1e-40
        values[-1, -1, -1] = 1e-40
    if case.nonfinite:
        values[0, 0, 0], values[5, 5, 5], values[6, 7, 8], values[-1, -1, -1] = np.nan, np.inf, np.nan, -np.inf
    values.flags.writeable = False
    return values


def in_memory(values: np.ndarray, memory: str) -> np.ndarray:
    """A copy of an array with its voxels laid out in another way; what lies between them is foreground too."""
    if memory in ORDERS:
        axes = ["xyz".index(axis) for axis in reversed(memory)]
        return np.array(values.transpose(axes), order="C").transpose(np.argsort(axes))
    if memory == "reversed":
        return np.array(values[::-1, ::-1, ::-1], order="F")[::-1, ::-1, ::-1]
    if memory in ("strided", "mixed"):
        steps = {"strided": (2, 2, 2), "mixed": (3, 1, 1)}[memory]
        backing = np.ones([n * step for n, step in zip(values.shape, steps, strict=True)], values.dtype)
        view = backing[:: steps[0], :: steps[1], :: steps[2]]
        view = view if memory == "strided" else view[:, ::-1]
        view[...] = values
        return view
    if memory == "unaligned":
        packed = np.ones(values.shape, np.dtype([("tag", "u1"), ("value", values.dtype)]))
        packed["value"] = values
        return packed["value"]
    copy = values.astype(values.dtype.newbyteorder()) if memory == "big-endian" else values.copy(order="K")
    copy.flags.writeable = memory != "read-only"
    return copy


def _dtypes():
    for dtype in DTYPES:
        yield Case(dtype, shape=ODD, dtype=dtype, size=(9, 16, 11))
    for dtype in ("int16", "uint16", "int32", "float16", "float32", "float64"):
        yield Case(f"{dtype} far from zero", dtype=dtype, intensities="far from zero")
    for dtype in ("uint16", "int32", "uint32", "int64", "uint64"):
        yield Case(f"{dtype} as wide as it goes", dtype=dtype, intensities="wide")
    yield Case("float64 beyond float32's largest", dtype="float64", intensities="huge")
    yield Case("float64 below float32's least", dtype="float64", intensities="tiny")
    yield Case("float32 with subnormals", dtype="float32", intensities="subnormal")
    for end in ("greatest", "least", "all subnormal"):
        yield Case(f"float32 {end}", dtype="float32", intensities=end)


def _memory():
    for number, memory in enumerate((*ORDERS, *VIEWS, *HOST_ONLY)):
        yield Case(f"{memory} on the host", memory=memory, shape=ODD, batch=1 + number % 2)
    for number, memory in enumerate((*ORDERS, *VIEWS)):
        yield Case(f"{memory} in place", memory=memory, place="device", batch=2 - number % 2, half=number % 3 == 0)
    yield Case("float32 reversed in place", dtype="float32", memory="reversed", place="device", nonfinite=True)


def _boxes():
    for face in (*FACES, "all"):
        yield Case(f"touches {face}", touches=face, memory="zyx" if face[0] == "z" else "xyz")
    yield Case("one voxel", touches="one voxel")
    yield Case("one voxel of float64 in place", dtype="float64", touches="one voxel", place="device", memory="yzx")
    yield Case("three planes an axis", shape=(3, 3, 3), touches="all", size=(2, 2, 2))
    yield Case("three planes along x", shape=(3, 9, 40), touches="all", size=(5, 4, 3), memory="zyx")
    yield Case("three planes along z", shape=(40, 9, 3), touches="all", size=(2, 8, 3))


def _scales():
    yield Case("slope and intercept", slope=2.5, intercept=-3.0)
    yield Case("falling slope", slope=-0.5, intercept=20.0, memory="zyx")
    # Ten times 0.1 is 1 as it rounds, and nothing is left of it: background. A fused multiply-add would leave 5.6e-17.
    yield Case("slope whose products round", slope=0.1, intercept=-1.0)
    yield Case("slope alone on uint8", dtype="uint8", slope=0.25, shape=ODD)
    yield Case("intercept alone on float32", dtype="float32", intercept=-7.25, nonfinite=True)
    yield Case("slope that leaves float32's range", dtype="float32", slope=1e60)
    yield Case("intercept far from zero", dtype="int16", slope=0.125, intercept=1e6)
    for dtype in ("float16", "float32", "float64"):
        yield Case(f"{dtype} with NaN and infinities", dtype=dtype, nonfinite=True, shape=ODD)


def _extents():
    for shape, size in [
        ((1024, 6, 5), (40, 5, 4)),
        ((5, 1024, 6), (4, 40, 5)),
        ((6, 5, 1024), (5, 4, 40)),
    ]:
        for memory in ("xyz", "zyx"):
            yield Case(f"{shape} stored {memory}", shape=shape, size=size, memory=memory, touches="all", tumour="snake")
    yield Case("1024 along y in place", shape=(5, 1024, 6), size=(4, 9, 5), memory="mixed", place="device")
    yield Case("a network of 1024 samples", size=(3, 1024, 2), batch=2)


def _sizes():
    for size in [(2, 2, 2), (7, 16, 33), (33, 5, 64), (65, 2, 31), (64, 32, 3)]:
        yield Case(f"network of {size}", size=size, batch=2, half=size[0] % 2 == 0)
        yield Case(f"network of {size} stored zyx", size=size, memory="zyx", shape=ODD)
    yield Case("a crop of the box's own size", size=(17, 21, 15), batch=2)
    yield Case("half precision stored yxz", memory="yxz", half=True, batch=2, shape=ODD, label_values=(0, 2, 1, 3))


def _cards():
    # Of 31 planes, 23 samples: the 12th and the last lie at whole voxels but for rounding. Of 16 planes, 14: the last.
    yield Case("card", normalisation="card", shape=(20, 24, 34), size=(12, 13, 23))
    yield Case("card stored zyx", normalisation="card", shape=(19, 24, 19), size=(14, 9, 14), memory="zyx", batch=2)
    yield Case("card in half precision", normalisation="card", half=True, slope=0.5, intercept=-1.5)
    yield Case("card of float32 in place", normalisation="card", dtype="float32", place="device", memory="mixed")


CASES = tuple(itertools.chain(_dtypes(), _memory(), _boxes(), _scales(), _extents(), _sizes(), _cards()))
HEADS = tuple(case for case in CASES if case.has_crop)


def cross_product(dtype):
    """A dtype in every order and place, touching every face, for tests that take minutes."""
    places = [("host", memory) for memory in (*ORDERS, *VIEWS, *HOST_ONLY)]
    places += [("device", memory) for memory in (*ORDERS, *VIEWS)]
    for (place, memory), (number, face) in itertools.product(places, enumerate((*FACES, "all"))):
        yield Case(
            f"{dtype} {memory} {place} {face}",
            shape=(11, 9, 12),
            size=(5, 6, 7),
            dtype=dtype,
            memory=memory,
            place=place,
            touches=face,
            batch=1 + number % 2,
            half=number % 3 == 0,
        )
