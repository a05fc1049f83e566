"""How exact the network's norms are on the CPU, and what that costs.

python benchmarks/norms.py engines/demo.onnx tests/data/sample_case/Phantom_500

Compares the softmax of one crop with that of ONNX Runtime on the same graph with every InstanceNormalization spelt out
in float64: OpenVINO's own norms in FP32, both runtimes of brats_trt in each precision, and ONNX Runtime's own norms.
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
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle
from float64_norms import with_float64_norms

from brats_trt import _host
from brats_trt.backends.cpu_engine import load_engine
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import cpu_precisions, openvino_core
from brats_trt.metrics import dice
from brats_trt.spec import LABEL_VALUES, MODALITIES

Run = Callable[[np.ndarray], np.ndarray]


def onnx_runtime(content: bytes) -> Run:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda crop: session.run(None, {"data_crop": crop})[0]


def openvino_alone(path: Path) -> Run:
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino_core().compile_model(str(path), "CPU", options)
    return lambda crop: np.array(compiled(crop)[0])


def brats_trt(path: Path, runtime: str, precision: str) -> Run:
    engine = load_engine(read_model(path), runtime, precision=precision, threads=None)

    def run(crop: np.ndarray) -> np.ndarray:
        softmax = np.empty_like(crop)
        engine.infer(crop, softmax)
        return softmax

    return run


def milliseconds(run: Run, crop: np.ndarray) -> float:
    start = perf_counter()
    run(crop)
    return (perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()

    files = [arguments.case / f"{arguments.case.name}_{modality}.nii.gz" for modality in MODALITIES]
    volumes = [np.asanyarray(nibabel.load(file).dataobj) for file in files]
    crop, box = oracle.prepare(volumes)
    model = onnx.load(arguments.model)
    exact = onnx_runtime(with_float64_norms(model).SerializeToString())(crop)
    labels = oracle.restore(exact, box, volumes[0].shape)

    runs = {"OpenVINO's norms, fp32": openvino_alone(arguments.model)}
    for runtime, precisions in (("native", _host.network_precisions()), ("openvino", cpu_precisions())):
        for precision in precisions:
            runs[f"brats_trt, {runtime}, {precision}"] = brats_trt(arguments.model, runtime, precision)
    runs["ONNX Runtime's norms"] = onnx_runtime(model.SerializeToString())
    answers = {name: run(crop) for name, run in runs.items()}
    times = [{name: milliseconds(run, crop) for name, run in runs.items()} for _ in range(arguments.runs)]

    print(f"{'':<28}{'softmax off by':>16}{'voxels flipped':>16}{'least Dice':>12}{'median ms':>12}")
    for name, answer in answers.items():
        found = oracle.restore(answer, box, volumes[0].shape)
        least = min(dice(found, labels, label_values=LABEL_VALUES["brats"]).values())
        median = statistics.median(lap[name] for lap in times)
        off = float(np.abs(answer - exact).max())
        print(f"{name:<28}{off:>16.1e}{(found != labels).sum():>16}{least:>12.5f}{median:>12.0f}")


if __name__ == "__main__":
    main()
