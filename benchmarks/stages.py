"""The stages around the network against the SciPy pipeline, in one run, arrays in memory.

    python benchmarks/stages.py tests/data/sample_case/Phantom_500

Prepare is foreground and gather, restore is scatter, regions is the rejection of small ones. The network's place is
taken by probabilities made from the case's reference labels, so that a tumour is there to be restored.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle

from brats_trt import Box, _host
from brats_trt.backends.foreground import common_box
from brats_trt.backends.regions import drop_small_regions
from brats_trt.geometry import without_last_plane

ORDER = ("t1", "t2", "t1ce", "flair")
VALUES = (0, 1, 2, 4)


def read(folder: Path, suffix: str) -> np.ndarray:
    return np.asanyarray(nibabel.load(folder / f"{folder.name}_{suffix}.nii.gz").dataobj)


def probabilities_of(labels: np.ndarray, box: Box) -> np.ndarray:
    """A softmax that the reference labels could have come from."""
    cropped = labels[box.slices]
    one_hot = [oracle.zoom((cropped == value).astype(np.float64), oracle.SIZE) for value in VALUES]
    return np.stack(one_hot)[None].astype(np.float32)


def run_host(volumes: list[np.ndarray], softmax: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    crop = np.empty((1, 4, *oracle.SIZE), np.float32)
    labels = np.empty(volumes[0].shape, np.uint8, order="F")
    start = perf_counter()
    foregrounds = [_host.foreground(volume) for volume in volumes]
    box = without_last_plane(common_box([], foregrounds))
    corners = (box.lower, box.upper)
    for channel, (volume, found) in enumerate(zip(volumes, foregrounds, strict=True)):
        _host.gather(volume, corners, crop, channel, mean=found.mean, variance=found.variance)
    prepared = perf_counter()
    counts, tumour = _host.scatter(softmax, corners, labels, values=VALUES)
    restored = perf_counter()
    drop_small_regions(labels, counts, Box(*tumour), min_region=0.1, label_values=VALUES)
    done = perf_counter()
    return {"prepare": prepared - start, "restore": restored - prepared, "regions": done - restored}, labels


def run_scipy(volumes: list[np.ndarray], softmax: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    start = perf_counter()
    _, box = oracle.prepare(volumes)
    prepared = perf_counter()
    labels = oracle.restore(softmax, box, volumes[0].shape)
    restored = perf_counter()
    labels = oracle.drop_small_regions(labels)
    done = perf_counter()
    return {"prepare": prepared - start, "restore": restored - prepared, "regions": done - restored}, labels


def medians(run: Callable[[], tuple[dict[str, float], np.ndarray]], runs: int) -> dict[str, float]:
    laps = [run()[0] for _ in range(runs)]
    totals = statistics.median(sum(lap.values()) for lap in laps)
    return {stage: statistics.median(lap[stage] for lap in laps) for stage in laps[0]} | {"total": totals}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--scipy-runs", type=int, default=3)
    arguments = parser.parse_args()

    volumes = [read(arguments.case, modality) for modality in ORDER]
    box = Box(*(tuple(map(int, corner)) for corner in oracle.authors_box(volumes)))
    softmax = probabilities_of(read(arguments.case, "seg"), box)
    run_host(volumes, softmax)
    host = medians(lambda: run_host(volumes, softmax), arguments.runs)
    scipy = medians(lambda: run_scipy(volumes, softmax), arguments.scipy_runs)
    different = int((run_host(volumes, softmax)[1] != run_scipy(volumes, softmax)[1]).sum())

    print(f"{'median ms':<10}{'brats_trt':>12}{'SciPy':>12}{'ratio':>8}   ({_host.instruction_set})")
    for stage in host:
        ratio = scipy[stage] / host[stage]
        print(f"{stage:<10}{host[stage] * 1e3:>12.1f}{scipy[stage] * 1e3:>12.1f}{ratio:>8.1f}")
    print(f"voxels that differ: {different} of {volumes[0].size}")


if __name__ == "__main__":
    main()
