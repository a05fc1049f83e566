"""What a user would pick instead of brats_trt: all of it in one process, on one case, taking turns.

    python benchmarks/peers.py                     a network of the released size with random weights
    python benchmarks/peers.py --engine MODEL.onnx
    python benchmarks/peers.py --readme            writes the README's table too

A whole job goes from four arrays to the label map, without mirror averaging. The peers' stages are the authors' in
NumPy and SciPy (`tests/oracle.py`), around the graph as its symbol has it (`literal_export.py`). The network alone is
timed in the same rounds: both graphs in OpenVINO as they are, at every precision that this processor has. All are held
in memory at once: 9 GB at the released size.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import onnx
import zoo_stages
from literal_export import literal_export
from machine import load, processor, versions
from networks import Network, missing_for_torch, onnxruntime_network, openvino_network, torch_network
from peers_report import ALONE, RUNTIMES, alone_table, jobs_table, write_readme
from released_model import model_or_released
from rounds import time_in_turn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle

from brats_trt import Segmenter
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import cpu_precisions

ROOT = Path(__file__).parents[1]
SAMPLE_CASE = ROOT / "tests" / "data" / "sample_case" / "Phantom_500"
Job = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """The case, both graphs, and what is the same for all."""

    volumes: dict[str, np.ndarray]
    exported: Path
    literal: Path
    precisions: tuple[str, ...]
    threads: int
    min_region: float


def networks_alone(setting: Setting) -> dict[str, Network]:
    """Both graphs in OpenVINO, by "GRAPH, PRECISION"."""
    graphs = {"literal": setting.literal, "exported": setting.exported}
    return {
        f"{graph}, {precision}": openvino_network(path, precision, setting.threads)
        for precision in setting.precisions
        for graph, path in graphs.items()
    }


def whole_jobs(setting: Setting, alone: dict[str, Network]) -> dict[str, Job]:
    """The candidates; the first is what the others are compared with."""
    scipy = partial(scipy_job, setting)
    ours = partial(segmenter_job, setting)
    jobs = {f"SciPy, OpenVINO {p.upper()}, literal export": scipy(alone[f"literal, {p}"]) for p in setting.precisions}
    jobs["Open Model Zoo demo's stages, OpenVINO FP32, literal export"] = zoo_job(setting, alone["literal, fp32"])
    jobs["SciPy, ONNX Runtime FP32, literal export"] = scipy(onnxruntime_network(setting.literal, setting.threads))
    if not missing_for_torch():
        jobs["SciPy, PyTorch FP32, literal export"] = scipy(torch_network(setting.literal, setting.threads))
    for title, runtime in RUNTIMES.items():
        jobs |= {f"brats_trt, {title} {p.upper()}": ours(precision=p, runtime=runtime) for p in setting.precisions}
    return jobs


def scipy_job(setting: Setting, network: Network) -> Job:
    order = read_model(setting.exported).spec.modalities

    def run() -> np.ndarray:
        volumes = [setting.volumes[name] for name in order]
        crop, box = oracle.prepare(volumes)
        labels = oracle.restore(network(crop), box, volumes[0].shape)
        return oracle.drop_small_regions(labels, setting.min_region) if setting.min_region else labels

    return run


def zoo_job(setting: Setting, network: Network) -> Job:
    order = read_model(setting.exported).spec.modalities

    def run() -> np.ndarray:
        volumes = [setting.volumes[name] for name in order]
        crop, box = zoo_stages.prepare(volumes, oracle.SIZE)
        return zoo_stages.restore(network(crop), box, volumes[0].shape)

    return run


def segmenter_job(setting: Setting, **options: str) -> Job:
    segmenter = Segmenter(
        setting.exported, device="cpu", threads=setting.threads, min_region=setting.min_region, **options
    )
    return lambda: segmenter.run(setting.volumes).labels


def read_case(folder: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The volumes as nibabel gives them."""
    return {name: np.asanyarray(nibabel.load(folder / f"{folder.name}_{name}.nii.gz").dataobj) for name in names}


def prepare(arguments: argparse.Namespace, folder: Path) -> Setting:
    engine = model_or_released(arguments.engine, folder)
    literal = folder / "literal.onnx"
    onnx.save(literal_export(onnx.load(engine)), literal)
    volumes = read_case(arguments.case, read_model(engine).spec.modalities)
    return Setting(volumes, engine, literal, arguments.precision, arguments.threads, arguments.min_region)


def measure(setting: Setting, rounds: int, footnote: str) -> str:
    """Run everything once, then in turn; the tables."""
    alone = networks_alone(setting)
    jobs = whole_jobs(setting, alone)
    labels = {name: job() for name, job in jobs.items()}
    baseline = next(iter(labels.values()))
    differing = {name: int((found != baseline).sum()) for name, found in labels.items()}
    crop = oracle.prepare([setting.volumes[name] for name in read_model(setting.exported).spec.modalities])[0]
    bare = {f"{ALONE}{name}": partial(network, crop) for name, network in alone.items()}
    for run in bare.values():
        run()
    times = time_in_turn({**jobs, **bare}, rounds)
    tables = [*jobs_table(times, list(jobs), differing), "", *alone_table(times, setting.precisions)]
    return "\n".join([*tables, "", footnote])


def conditions(setting: Setting, arguments: argparse.Namespace) -> str:
    """What the numbers hold for."""
    shape = "x".join(map(str, next(iter(setting.volumes.values())).shape))
    model = "released size, random weights" if arguments.engine is None else arguments.engine.name
    regions = f"small regions dropped ({setting.min_region:g})" if setting.min_region else "small regions kept"
    packages = versions("brats_trt", "openvino", "onnxruntime", "scipy", "numpy", "torch")
    return (
        f"{processor()}, {setting.threads} threads, load before {load()}; {packages}. Network: {model}. "
        f"Case of {shape}, no mirror averaging, {regions}. {arguments.rounds} rounds in turn; ratios are taken round "
        "by round, and the spread is the range of the middle half over the median."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, help="an .onnx file of `brats-trt convert`")
    parser.add_argument("--case", type=Path, default=SAMPLE_CASE, help="a folder with BraTS names")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--min-region", type=float, default=0.1, help="0: small regions stay, as in the zoo's demo")
    parser.add_argument("--precision", nargs="+", default=cpu_precisions(), choices=cpu_precisions())
    parser.add_argument("--readme", action="store_true", help="write the table between the README's markers")
    arguments = parser.parse_args()
    if arguments.precision[0] != "fp32":
        parser.error("the first precision is the baseline's: fp32")

    with tempfile.TemporaryDirectory() as name:
        setting = prepare(arguments, Path(name))
        text = measure(setting, arguments.rounds, conditions(setting, arguments))
    print(text)
    if missing := missing_for_torch():
        print(f"\nPyTorch was left out: {' and '.join(missing)} not installed (pip install {' '.join(missing)})")
    if arguments.readme:
        write_readme(ROOT / "README.md", text)


if __name__ == "__main__":
    main()
