"""How often the checks of `brats_trt.inspection` err on phantoms, and what they cost.

python benchmarks/inspection.py --phantoms 200 [CASE...]

Prints, in Markdown: the findings on demo phantoms, varied ones and the cases given, none of which is at fault; how
often each of the 23 wrong orders of modalities is noticed, and named right; how often other faults are; and times.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from time import process_time

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from varied_phantoms import SHAPE, varied_phantom

from brats_trt.case import Case, load_case
from brats_trt.demo import make_phantom
from brats_trt.demo.phantom import brats_affine
from brats_trt.inspection import inspect_case
from brats_trt.inspection.evidence import gather_evidence
from brats_trt.inspection.swapped import FLUID_RANK, looks_of
from brats_trt.spec import MODALITIES, Modality

Volumes = Mapping[Modality, NDArray]
AFFINE = brats_affine(SHAPE)
FAULTS_ON = 40  # phantoms that faults other than orders are tried on


def as_case(volumes: Volumes, affine: NDArray = AFFINE) -> Case:
    return load_case({name: nibabel.Nifti1Image(values, affine) for name, values in volumes.items()})


def reordered(case: Case, order: tuple[Modality, ...]) -> Case:
    """The case with the volume of `order[k]` under the name of the k-th modality."""
    volumes = {name: case.volumes[other] for name, other in zip(MODALITIES, order, strict=True)}
    return Case(case.name, volumes, case.affine, case.header)


def codes(case: Case) -> set[str]:
    return {finding.code for finding in inspect_case(case)}


def named_right(case: Case, order: tuple[Modality, ...]) -> bool:
    """Whether every look that was told is the true one."""
    truth = dict(zip(MODALITIES, order, strict=True))
    contrast = gather_evidence(case).contrast
    return contrast is not None and all(truth[given] == look for given, look in looks_of(contrast).items())


@dataclass(frozen=True)
class Judged:
    """What was found in a case as it is, and whether each order was noticed and named right."""

    codes: frozenset[str]
    orders: Mapping[tuple[Modality, ...], tuple[bool, bool]]
    leads: tuple[float, float]


def judge(case: Case) -> Judged:
    orders = {}
    for order in permutations(MODALITIES):
        other = reordered(case, order)
        noticed = "modalities-swapped" in codes(other)
        orders[order] = (noticed, noticed and named_right(other, order))
    return Judged(frozenset(codes(case)), orders, leads(case))


def leads(case: Case) -> tuple[float, float]:
    """By how much T2 and FLAIR are told from the others, as `swapped` counts it, where the order is right."""
    contrast = gather_evidence(case).contrast
    t1, t2, t1ce, flair = (contrast.modalities.index(name) for name in MODALITIES)
    sums = np.corrcoef(contrast.changes).sum(axis=1)
    dry = contrast.ranks[t2].max(axis=0) < FLUID_RANK
    alike = np.corrcoef(contrast.changes[:, dry])
    return min(np.delete(sums, t2)) - sums[t2], alike[t1, t1ce] - max(alike[t1, flair], alike[t1ce, flair])


def print_leads(groups: Mapping[str, list[Judged]]) -> None:
    print("\n| least lead of | T2 | FLAIR |\n| --- | --- | --- |")
    for name, group in groups.items():
        t2, flair = (min(column) for column in zip(*(each.leads for each in group), strict=True))
        print(f"| {name} | {t2:.2f} | {flair:.2f} |")


def print_orders(groups: Mapping[str, list[Judged]]) -> None:
    print(f"\n| volumes given as {', '.join(MODALITIES)} | {' | '.join(groups)} |\n| --- |{' --- |' * len(groups)}")
    for order in permutations(MODALITIES):
        cells = []
        for group in groups.values():
            noticed, right = (sum(column) for column in zip(*(each.orders[order] for each in group), strict=True))
            cells.append(f"{noticed} of {len(group)}" + (f", {right} named right" if right != noticed else ""))
        print(f"| {', '.join(order)}{' (right)' if order == MODALITIES else ''} | {' | '.join(cells)} |")


def print_false_alarms(groups: Mapping[str, list[Judged]]) -> None:
    print("\n| cases | without a finding | findings |\n| --- | --- | --- |")
    for name, group in groups.items():
        counts = Counter(code for each in group for code in each.codes)
        found = ", ".join(f"{code} {n}" for code, n in counts.items()) or "none"
        print(f"| {name} | {sum(not each.codes for each in group)} of {len(group)} | {found} |")


def copied(noise: float, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """T1 as T1ce, in another unit and with noise, as a share of T1's deviation."""
    source = volumes["t1"].astype(np.float64)
    deviation = noise * source[source > 0].std()
    copy = np.where(source > 0, np.maximum(3 * (source + deviation * random.standard_normal(source.shape)), 1e-3), 0)
    return {**volumes, "t1ce": np.asfortranarray(copy)}


def noisy_background(volumes: Volumes, random: np.random.Generator) -> Volumes:
    return {name: np.where(v > 0, v, 1e-3 + random.random(v.shape)) for name, v in volumes.items()}


def with_shell(thickness_mm: float, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """A scalp of that thickness, 8 mm outside the brain, in a background of zeros."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(volumes["t1"] == 0) * 2.0
    shell = (away > 8) & (away <= 8 + thickness_mm)
    return {name: np.where(shell, v.max() * random.uniform(0.5, 1, v.shape), v) for name, v in volumes.items()}


def turned(axis: int, degrees: float, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """Turned about the middle and an axis."""
    first, second = (other for other in range(3) if other != axis)
    angle = np.radians(degrees)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    wide = {name: np.pad(v, [(10, 10), (10, 10), (30, 30)]) for name, v in volumes.items()}
    middle = (np.array(wide["t1"].shape) - 1) / 2
    return {name: affine_transform(v, matrix, middle - matrix @ middle, order=0) for name, v in wide.items()}


def cut(share: float, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """Without the lowest part of the brain's height."""
    planes = np.flatnonzero(volumes["t1"].any(axis=(0, 1)))
    first = int(planes[0] + share * len(planes))
    return {name: v[:, :, first:] for name, v in volumes.items()}


def boxed(volumes: Volumes, random: np.random.Generator) -> Volumes:
    """Cropped to the brain."""
    where = np.argwhere(volumes["t1"] > 0)
    lower, upper = where.min(axis=0), where.max(axis=0) + 1
    return {name: v[tuple(map(slice, lower, upper))] for name, v in volumes.items()}


def clipped(percent: float, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """All four clipped at a percentile of the brain."""
    return {name: np.minimum(v, np.percentile(v[v > 0], percent)) for name, v in volumes.items()}


def rounded(levels: int, volumes: Volumes, random: np.random.Generator) -> Volumes:
    """All four rounded to that many values from zero to their 99.9th percentile, brighter ones beyond."""
    steps = {name: np.percentile(v[v > 0], 99.9) / levels for name, v in volumes.items()}
    return {name: np.where(v > 0, np.maximum(np.rint(v / steps[name]), 1), 0) for name, v in volumes.items()}


FAULTS: dict[str, tuple[str, Callable[[Volumes, np.random.Generator], Volumes]]] = {
    "T1 as T1ce too, other unit": ("modality-copied", partial(copied, 0.0)),
    "the same, noise of 5 % of its deviation": ("modality-copied", partial(copied, 0.05)),
    "the same, 10 %": ("modality-copied", partial(copied, 0.1)),
    "the same, 20 %": ("modality-copied", partial(copied, 0.2)),
    "noise for a background": ("skull-not-stripped", noisy_background),
    "scalp of 5 mm, background 0": ("skull-not-stripped", partial(with_shell, 5.0)),
    "scalp of 10 mm, background 0": ("skull-not-stripped", partial(with_shell, 10.0)),
    "cropped to the brain": ("head-cut-off", boxed),
    "lowest 10 % of the brain lost": ("head-cut-off", partial(cut, 0.1)),
    "lowest 30 % lost": ("head-cut-off", partial(cut, 0.3)),
    "lowest half lost": ("head-cut-off", partial(cut, 0.5)),
    "lowest 70 % lost": ("head-too-small", partial(cut, 0.7)),
    **{f"turned by {d} degrees about z": ("head-tilted", partial(turned, 2, d)) for d in (15, 30, 45, 60, 90)},
    **{f"turned by {d} degrees about x": ("head-tilted", partial(turned, 0, d)) for d in (-60, -45, -30, 30, 45, 60)},
    **{f"clipped at the {p}th percentile": ("saturated", partial(clipped, p)) for p in (99, 99.5, 99.9)},
    **{f"rounded to {n} values": ("few-values", partial(rounded, n)) for n in (16, 32, 64, 128, 255)},
}


def print_faults(volumes: list[Volumes]) -> None:
    print("\n| fault | check | noticed | other findings |\n| --- | --- | --- | --- |")
    random = np.random.default_rng(0)
    for name, (expected, fault) in FAULTS.items():
        seen = [codes(as_case(fault(each, random))) for each in volumes]
        others = Counter(code for each in seen for code in each - {expected})
        rest = ", ".join(f"{code} {n}" for code, n in others.items()) or "none"
        print(f"| {name} | {expected} | {sum(expected in each for each in seen)} of {len(seen)} | {rest} |")


def print_time(case: Case, runs: int = 40) -> None:
    times = []
    for _ in range(runs):
        start = process_time()
        inspect_case(case)
        times.append((process_time() - start) * 1e3)
    first, median, last = np.percentile(times, [25, 50, 75])
    shape, dtype = "x".join(map(str, case.shape)), case.volumes["t1"].data.dtype
    print(
        f"\ninspect_case, {shape} {dtype}: median {median:.1f} ms of the processor "
        f"(middle half {first:.1f} to {last:.1f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="*")
    parser.add_argument("--phantoms", type=int, default=200, help="of each kind")
    arguments = parser.parse_args()

    seeds = range(arguments.phantoms)
    given = {path.name: load_case(path) for path in arguments.cases}
    groups = {
        "demo": [judge(as_case(make_phantom(seed, SHAPE).volumes)) for seed in seeds],
        "varied": [judge(as_case(varied_phantom(seed))) for seed in seeds],
        **{name: [judge(case)] for name, case in given.items()},
    }
    print_false_alarms(groups)
    print_orders(groups)
    print_leads(groups)
    print_faults([make_phantom(seed, SHAPE).volumes for seed in seeds[:FAULTS_ON]])
    phantom = make_phantom(0)
    whole = as_case(phantom.volumes, phantom.affine)
    print_time(whole)
    for case in given.values():
        print_time(case)


if __name__ == "__main__":
    main()
