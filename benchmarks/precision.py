"""What 16 bits cost on the CPU: labels of a model in BF16 or FP16 against FP32's, on the
demo's phantoms.

python benchmarks/precision.py engines/demo.onnx --write

Prints Dice and inference times for every runtime and precision that this processor has. `--write` puts the Dice
into the record beside the model (its name with .json), which `precision="auto"` goes by.
"""

from __future__ import annotations

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

from brats_trt import Segmentation, Segmenter, __version__, _host
from brats_trt.backends.agreement import LEAST_DICE
from brats_trt.backends.openvino import cpu_precisions
from brats_trt.demo import make_phantom
from brats_trt.metrics import dice
from brats_trt.spec import LABEL_VALUES

CLASSES = ("necrotic", "oedema", "enhancing")
SEEDS = range(5)


def run(model: Path, runtime: str, precision: str, cases: list[dict]) -> tuple[list[Segmentation], float]:
    segmenter = Segmenter(model, runtime=runtime, precision=precision)
    segmenter.run(cases[0])
    results = [segmenter.run(volumes) for volumes in cases]
    return results, statistics.median(result.timings_ms["infer"] for result in results)


def mean_dice(found: list[Segmentation], exact: list[Segmentation]) -> dict[str, float]:
    scores = [
        dice(one.labels, other.labels, label_values=LABEL_VALUES["brats"])
        for one, other in zip(found, exact, strict=True)
    ]
    return {name: round(statistics.fmean(score[name] for score in scores), 5) for name in CLASSES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()

    cases = [make_phantom(seed).volumes for seed in SEEDS]
    agreement: dict[str, dict] = {}
    for runtime, available in (("native", _host.network_precisions()), ("openvino", cpu_precisions())):
        exact, exact_ms = run(arguments.model, runtime, "fp32", cases)
        print(f"{runtime} fp32  median {exact_ms:.0f} ms")
        for precision in available[1:]:
            results, median_ms = run(arguments.model, runtime, precision, cases)
            kept = mean_dice(results, exact)
            print(f"{runtime} {precision}  median {median_ms:.0f} ms, {exact_ms / median_ms:.2f} times faster")
            verdict = "agrees" if min(kept.values()) >= LEAST_DICE else "does not agree"
            print(f"      {verdict} (least {LEAST_DICE}): {kept}")
            case = f"demo phantoms, seeds {SEEDS[0]} to {SEEDS[-1]}, mean"
            agreement.setdefault(runtime, {})[precision] = {"case": case, "dice": kept}
    if arguments.write:
        record = {
            "sha256": exact[0].model_sha256,
            "measured": {"date": date.today().isoformat(), "software": f"brats_trt {__version__}"},
            "agreement": agreement,
        }
        arguments.model.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
