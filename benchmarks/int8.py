"""Whether INT8 pays: post-training quantisation by NNCF, calibrated on phantoms, against BF16 in OpenVINO.

    python benchmarks/int8.py engines/demo.onnx             time and what it costs in Dice
    python benchmarks/int8.py                               time at the released size, random weights

NNCF is no dependency of brats_trt: `pip install nncf`. Dice is against the phantoms' reference labels, over cases that
were not calibrated on; with random weights only the time means something. Norms take their sums as brats_trt has them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import onnx
from machine import load, processor, versions
from networks import Network, openvino_options
from released_model import model_or_released
from rounds import CLOCKS, ratios, spread, time_in_turn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle

from brats_trt.backends.openvino import openvino_core
from brats_trt.backends.openvino_norms import sum_norms_in_blocks
from brats_trt.demo import make_phantom
from brats_trt.demo.phantom import Phantom
from brats_trt.export.rewrites import ENCODERS, rewrite
from brats_trt.metrics import STRUCTURES, dice
from brats_trt.spec import LABEL_VALUES, MODALITIES

BASELINE = "bf16"
VALUES = LABEL_VALUES["brats"]
FIRST_CALIBRATION_SEED = 1000
Scores = dict[str, float]


def import_nncf() -> Any:
    """NNCF without telemetry, which OpenVINO's import has shut out only for itself."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("nncf")
    except ImportError:
        sys.exit("NNCF is not installed: pip install nncf, into an environment of its own")


def crops(seeds: range) -> Iterator[np.ndarray]:
    for seed in seeds:
        volumes = make_phantom(seed).volumes
        yield oracle.prepare([volumes[name] for name in MODALITIES])[0]


def quantised(network: Any, preset: str, seeds: range) -> Any:
    """The network in INT8 where NNCF puts it, calibrated on the crops of phantoms."""
    nncf = import_nncf()
    data = nncf.Dataset(list(crops(seeds)))
    return nncf.quantize(network, data, preset=nncf.QuantizationPreset(preset), subset_size=len(seeds))


def compiled(network: Any, precision: str, threads: int) -> Network:
    sum_norms_in_blocks(network, importlib.import_module("openvino.opset13"), precision)
    core = openvino_core()
    request = core.compile_model(network, "CPU", openvino_options(precision, threads)).create_infer_request()
    return lambda crop: request.infer([crop], share_inputs=True, share_outputs=True)[0]


def networks(model: Path, arguments: argparse.Namespace) -> dict[str, Network]:
    """FP32, BF16, and INT8 by preset, with what is not quantised in BF16."""
    seeds = range(FIRST_CALIBRATION_SEED, FIRST_CALIBRATION_SEED + arguments.calibration)
    content = rewrite(onnx.load(model), encoders=arguments.encoders).SerializeToString()
    read = openvino_core().read_model
    found = {name: compiled(read(content), name, arguments.threads) for name in ("fp32", BASELINE)}
    for preset in arguments.preset:
        found[f"int8 {preset}"] = compiled(quantised(read(content), preset, seeds), BASELINE, arguments.threads)
    return found


def scores(network: Network, phantom: Phantom) -> Scores:
    """Dice of each structure against the reference."""
    crop, box = oracle.prepare([phantom.volumes[name] for name in MODALITIES])
    labels = oracle.restore(network(crop), box, phantom.labels.shape)
    return dice(oracle.drop_small_regions(labels), phantom.labels, label_values=VALUES)


def table(found: dict[str, Network], arguments: argparse.Namespace) -> Iterator[str]:
    cases = [make_phantom(seed) for seed in range(arguments.cases)]
    quality = {name: [scores(network, case) for case in cases] for name, network in found.items()}
    crop = next(crops(range(1)))
    jobs = {name: partial(network, crop) for name, network in found.items()}
    times = time_in_turn(jobs, arguments.rounds, clock=arguments.clock)
    yield "| | median ms | faster than BF16 | spread | largest loss of mean Dice to FP32 | in | mean Dice |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    means = {name: {s: mean(case[s] for case in kept) for s in STRUCTURES} for name, kept in quality.items()}
    for name, taken in times.items():
        faster = ratios(times, BASELINE, name)
        losses = {structure: means["fp32"][structure] - means[name][structure] for structure in STRUCTURES}
        worst = max(losses, key=losses.__getitem__)
        yield (
            f"| {name} | {median(taken):.0f} | {median(faster):.2f} | {spread(faster):.1%} | {losses[worst]:.4f} | "
            f"{worst} | {mean(means[name].values()):.4f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--encoders", choices=ENCODERS, default="joined")
    parser.add_argument("--preset", nargs="+", choices=("mixed", "performance"), default=["mixed"])
    parser.add_argument("--calibration", type=int, default=4, help="phantoms to calibrate on")
    parser.add_argument("--cases", type=int, default=3, help="other phantoms, to compare Dice on")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()

    before = load()
    with tempfile.TemporaryDirectory() as name:
        found = networks(model_or_released(arguments.model, Path(name)), arguments)
    print("\n".join(table(found, arguments)))
    conditions = f"{processor()}, {arguments.threads} threads, load before {before}; {versions('openvino', 'nncf')}"
    print(f"\n{conditions}; encoders {arguments.encoders}; {arguments.rounds} rounds, {arguments.clock} clock")


if __name__ == "__main__":
    main()
