"""What 16 bits cost on the CPU: labels of a model in BF16 or FP16 against FP32's, on the demo case.

python benchmarks/precision.py engines/demo.onnx --write

Prints Dice and inference times for every precision that this processor has. `--write` puts the Dice into the record
beside the model (its name with .json), which `precision="auto"` goes by.
"""

from __future__ import annotations

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

from brats_trt import Segmentation, Segmenter, __version__
from brats_trt.backends.agreement import LEAST_DICE
from brats_trt.backends.openvino import cpu_precisions
from brats_trt.demo import make_phantom
from brats_trt.metrics import dice
from brats_trt.spec import LABEL_VALUES

CLASSES = ("necrotic", "oedema", "enhancing")
SEED = 0


def run(model: Path, precision: str, volumes: dict, runs: int) -> tuple[Segmentation, float]:
    segmenter = Segmenter(model, precision=precision)
    results = [segmenter.run(volumes) for _ in range(runs)]
    return results[0], statistics.median(result.timings_ms["infer"] for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()

    volumes = make_phantom(SEED).volumes
    exact, exact_ms = run(arguments.model, "fp32", volumes, arguments.runs)
    print(f"fp32  median {exact_ms:.0f} ms")
    agreement = {}
    for precision in cpu_precisions():
        if precision == "fp32":
            continue
        result, median_ms = run(arguments.model, precision, volumes, arguments.runs)
        scores = dice(result.labels, exact.labels, label_values=LABEL_VALUES["brats"])
        kept = {name: round(scores[name], 5) for name in CLASSES}
        print(f"{precision}  median {median_ms:.0f} ms, {exact_ms / median_ms:.2f} times faster; Dice to fp32 {kept}")
        print(f"      {'agrees' if min(kept.values()) >= LEAST_DICE else 'does not agree'} (least {LEAST_DICE})")
        agreement[precision] = {"case": f"demo phantom, seed {SEED}", "dice": kept}
    if arguments.write:
        record = {
            "sha256": exact.model_sha256,
            "measured": {"date": date.today().isoformat(), "software": f"brats_trt {__version__}"},
            "agreement": agreement,
        }
        arguments.model.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
