"""The union-find of `regions.cu` with another thread's work in the midst of its own: no link is lost.

The emulator runs the threads of a block one after another, so that nobody else writes between a thread's reads and its
atomic operation. Here somebody does: in every forest of five voxels, while any two are joined, any other two are joined
whole, before an atomic operation: the first, second or third that halves a way, or the one that links two roots. One
interruption stands for any number of threads: all that the interrupted one can see is parents that have become lower.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from emulator import Emulator

from brats_trt.kernels import kernel_source

VOXELS = 5
POINTS = ("atomicMin(parents + voxel, grandparent)", "const int before = atomicMin(parents + high, low)")
_NAMES = ("find_root_and_halve(", "join(")
_INTERRUPT = "if (interruption.left-- == 0) join(parents, interruption.a, interruption.b);\n"
_TYPE = "struct Interruption { int left; int a; int b; };\n__device__ void join(int* parents, int a, int b);\n"
_KERNEL = """
extern "C" __global__ void interrupted(int* forests, const int* pairs, int* happened, int number, int left) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= number) return;
    Interruption interruption{left, pairs[4 * i + 2], pairs[4 * i + 3]};
    join_interrupted(forests + VOXELS * i, pairs[4 * i], pairs[4 * i + 1], interruption);
    happened[i] = interruption.left < 0;
}
"""


def body_of(source, name):
    """A function's text, from its name to its last brace."""
    start = source.index(name)
    return source[start : source.index("\n}\n", start) + 3]


def interrupted_source(point):
    """The kernel's file with copies of its functions that are interrupted at one point."""
    source = kernel_source("regions")
    find, join = (body_of(source, f" {name}int* parents")[1:] for name in _NAMES)
    copies = [find, join]
    assert copies[point].count(POINTS[point]) == 1
    copies[point] = copies[point].replace(POINTS[point], _INTERRUPT + POINTS[point])
    find, join = (
        text.replace(") {", ", Interruption& interruption) {", 1).replace(name, name[:-1] + "_interrupted(", 1)
        for text, name in zip(copies, _NAMES, strict=True)
    )
    for root in "ab":
        join = join.replace(
            f"{root} = find_root_and_halve(parents, {root})",
            f"{root} = find_root_and_halve_interrupted(parents, {root}, interruption)",
        )
    assert join.count("find_root_and_halve_interrupted") == 2
    added = f"namespace brats {{\n__device__ int {find}\n__device__ void {join}\n}}\n"
    first = source.index("namespace brats {")
    return source[:first] + f"namespace brats {{\n{_TYPE}}}\n" + source[first:] + added + _KERNEL


def every_forest():
    """(120 * 625, 5) parents, none above its child, and (120 * 625, 4) voxels: two to join and two that interrupt."""
    forests = np.array(list(itertools.product(*[range(voxel + 1) for voxel in range(VOXELS)])), np.int32)
    pairs = np.array(list(itertools.product(range(VOXELS), repeat=4)), np.int32)
    return np.repeat(forests, len(pairs), axis=0), np.tile(pairs, (len(forests), 1))


def roots(forests):
    found = forests
    for _ in range(VOXELS):
        found = np.take_along_axis(forests, found, axis=1)
    return found


def joined(forests, pairs):
    """The lowest voxel of each one's region, with both pairs joined."""
    found = roots(forests)
    for a, b in ((0, 1), (2, 3), (0, 1), (2, 3)):
        ends = np.sort(np.take_along_axis(found, pairs[:, [a, b]], axis=1), axis=1)
        found = np.where(found == ends[:, 1:], ends[:, :1], found)
    return found


@pytest.mark.parametrize(("point", "left"), [(0, 0), (0, 1), (0, 2), (1, 0)])
def test_a_join_that_is_interrupted_loses_no_link(point, left):
    forests, pairs = every_forest()
    emulator = Emulator(threads=1)
    source = interrupted_source(point).replace("VOXELS", str(VOXELS))
    program = emulator.compile(source, name="interrupted.cu", mode="fast")
    parents, happened = emulator.upload(forests), emulator.allocate(4 * len(forests))
    arguments = [parents, emulator.upload(pairs), happened, np.int32(len(forests)), np.int32(left)]
    program.launch("interrupted", grid=-(-len(forests) // 256), block=256, args=arguments)
    found = parents.read(np.int32, forests.shape)
    interrupted = happened.read(np.int32).astype(bool)
    assert interrupted.any(), "some joins get that far"
    assert (found <= forests).all(), "parents only become lower"
    joined_before_the_end = np.where(interrupted[:, None], pairs, pairs[:, [0, 1, 0, 1]])
    assert np.array_equal(roots(found), joined(forests, joined_before_the_end))
    if (point, left) == (1, 0):
        ends = np.take_along_axis(roots(forests), pairs[:, :2], axis=1)
        assert np.array_equal(interrupted, ends[:, 0] != ends[:, 1]), "whoever has two regions to join is interrupted"
