"""The rewrites of the graph on OpenVINO: which are faster, on this processor.

python benchmarks/tuning.py                  the released network's size, random weights
python benchmarks/tuning.py MODEL.onnx

Times the network on the crop of a phantom, in every precision asked for. The reference of the answers is the graph as
it is, in FP32. On a machine that others use too, `--clock process` counts the processor time of all threads instead of
the time that passes: it says what a variant costs, if not how well its threads share the work.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import onnx
from networks import Network, compiled_graph
from released_model import model_or_released

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import oracle

from brats_trt.backends.openvino import cpu_precisions
from brats_trt.demo import make_phantom
from brats_trt.export.rewrites import DECONVOLUTIONS, ENCODERS, GROUPED, NORMS, rewrite
from brats_trt.plans.tuning import tune
from brats_trt.spec import MODALITIES

CLOCKS = {"wall": perf_counter, "process": process_time}
PLAIN = {"norm": "native_cast", "grouped": "as_is", "deconvolution": "as_is", "encoders": "joined"}


@dataclass(frozen=True)
class Variant:
    """Options of `rewrite`."""

    norm: str
    grouped: str
    deconvolution: str
    encoders: str = PLAIN["encoders"]

    def __str__(self) -> str:
        changed = [f"{name}={value}" for name, value in vars(self).items() if value != PLAIN[name]]
        return ", ".join(changed) or "as it is"


class Candidate:
    """A rewritten graph in OpenVINO and the crop that it runs on."""

    def __init__(self, network: Network, crop: np.ndarray, *, clock: str) -> None:
        self._network = network
        self._crop = crop
        self._clock = CLOCKS[clock]
        self.softmax = crop

    def measure(self) -> float:
        """Milliseconds of one inference, by the clock."""
        start = self._clock()
        self.softmax = self._network(self._crop)
        return (self._clock() - start) * 1e3

    def answer(self) -> np.ndarray:
        """The softmax."""
        self.measure()
        return self.softmax.copy()


def variants(every: bool) -> list[Variant]:
    """The graph as it is, each rewrite alone, and the pairs of groups and deconvolutions; or all there are."""
    if every:
        return [Variant(*v) for v in product(NORMS, GROUPED, DECONVOLUTIONS, ENCODERS) if v[0] != "native_half"]
    pairs = [Variant(PLAIN["norm"], g, d) for g in GROUPED for d in DECONVOLUTIONS]
    alone = [{"norm": "decomposed"}, *({"encoders": e} for e in ENCODERS[1:])]
    return pairs + [Variant(**PLAIN | change) for change in alone]


def phantom_crop() -> np.ndarray:
    volumes = make_phantom(0).volumes
    return oracle.prepare([volumes[name] for name in MODALITIES])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--precision", nargs="+", default=list(cpu_precisions()))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--least-dice", type=float, default=0.999)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--every", action="store_true", help="all combinations, not the plain ones only")
    arguments = parser.parse_args()

    crop = phantom_crop()
    with tempfile.TemporaryDirectory() as name:
        proto = onnx.load(model_or_released(arguments.model, Path(name)))

        def build(variant: Variant, precision: str) -> Candidate:
            model = rewrite(proto, **vars(variant))
            network = compiled_graph(model, precision, blocks=True, threads=arguments.threads)
            return Candidate(network, crop, clock=arguments.clock)

        reference = build(Variant(**PLAIN), "fp32").answer()
        for precision in arguments.precision:
            found = tune(
                variants(arguments.every),
                partial(build, precision=precision),
                Candidate.measure,
                answer=Candidate.answer,
                reference=reference,
                least_dice=arguments.least_dice,
                rounds=arguments.rounds,
                say=partial(print, file=sys.stderr),
            )
            print(f"{precision:<44}{'median ms':>10}{'speed-up':>10}{'spread':>8}{'least Dice':>12}{'flipped':>9}")
            for trial in found.trials:
                row = f"{trial.recipe!s:<44}"
                if trial.fault is None:
                    row += f"{trial.median_ms:>10.0f}{trial.speedup:>10.2f}{trial.spread:>8.1%}"
                    row += f"{trial.least_dice:>12.5f}{trial.flipped:>9}"
                print(row if trial.fault is None else f"{row}  out: {trial.fault}")


if __name__ == "__main__":
    main()
