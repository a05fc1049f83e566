"""What FP16 costs a model, found on the CPU: labels, the range of the norms' inputs, the worst layer.

The measure is `TwinEvaluation`, whose module says what it is and is not; its cases are phantoms of the demo, which
stand for heads as far as intensities go and for nothing else. Labels are compared on the case's own grid, after
everything that a run does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError, EngineError
from ..spec import LABEL_VALUES
from .twin import FLOAT16_MAX, MOVES, Step, Twin, TwinEvaluation

if TYPE_CHECKING:
    from ..backends.model import Model

METHOD = (
    "evaluated node by node in float32 on the CPU; each tensor that the graph declares as float16 is rounded to "
    "float16 after its node; compared with the same graph and weights without rounding"
)
_LABEL_VALUES = LABEL_VALUES["brats"]
_MIN_REGION = 0.1
_WORST_LAYERS = 5
_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)


@dataclass(frozen=True)
class CaseAgreement:
    """FP16's labels against FP32's on one case.

    Attributes
    ----------
    dice
        Of each structure; None where FP16's softmax is not finite, as are the next three.
    flipped
        Voxels whose labels differ.
    flipped_off_boundary
        Those of them that do not touch another label in FP32's label map, by a face or by themselves.
    boundary
        Voxels of FP32's label map that share a face with another label.
    softmax_difference
        The largest, absolute.
    """

    case: str
    dice: Mapping[str, float] | None
    flipped: int | None
    flipped_off_boundary: int | None
    softmax_difference: float | None
    boundary: int


@dataclass(frozen=True)
class NormRange:
    """The largest magnitude that enters a norm, without rounding, and how many times it fits into 65504."""

    name: str
    largest: float
    margin: float


@dataclass(frozen=True)
class LayerError:
    """How far FP16 is off behind a node that computes: root mean square of the error over that of the values.

    Attributes
    ----------
    before
        The largest such error at the node's inputs.
    """

    name: str
    operator: str
    relative_error: float
    before: float


@dataclass(frozen=True)
class Overflow:
    """A node from which float16 becomes infinite while its inputs are finite, and the largest magnitude there."""

    name: str
    operator: str
    largest: float


@dataclass(frozen=True)
class Audit:
    """What FP16 costs a model.

    Attributes
    ----------
    model_sha256
        Of the file.
    norms
        Those of InstanceNormalization, the smallest margin first, over all cases.
    worst_layers
        The five with the largest relative error, that first.
    overflows
        In the graph's order; empty where float16 suffices.
    """

    method: str
    model_sha256: str
    cases: tuple[CaseAgreement, ...]
    norms: tuple[NormRange, ...]
    worst_layers: tuple[LayerError, ...]
    overflows: tuple[Overflow, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def audit(model: Path, *, cases: int = 2, threads: int | None = None) -> Audit:
    """Find out what FP16 costs a model.

    Parameters
    ----------
    model
        An ONNX file in FP16, as `brats-trt convert --precision fp16` or a rewrite of it gives.
    cases
        How many phantoms of the demo, seeds 0, 1, ...

    Raises
    ------
    CaseError
        If `cases` is not at least 1.
    EngineError
        If the model cannot be read, is not in FP16, or gives values that are not finite in FP32.
    """
    from ..backends.model import read_model

    if cases < 1:
        raise CaseError(f"an audit of {cases} cases was asked for; expected at least 1")
    known = read_model(model)
    evaluation, tally = TwinEvaluation(model, threads=threads), _Tally()
    agreements = tuple(_agreement(known, evaluation, tally, seed, threads) for seed in range(cases))
    return Audit(
        method=METHOD,
        model_sha256=known.sha256,
        cases=agreements,
        norms=tuple(sorted(tally.norms.values(), key=lambda norm: norm.margin)),
        worst_layers=tuple(sorted(tally.layers.values(), key=lambda layer: -layer.relative_error)[:_WORST_LAYERS]),
        overflows=tuple(tally.overflows.values()),
    )


def audit_graph(content: bytes, *, cases: int = 2) -> Mapping[str, Any]:
    """Audit the graph that a plan is to be built from, as `build_plan` wants it.

    Parameters
    ----------
    content
        An ONNX file's, typed and rewritten.

    Raises
    ------
    EngineError
        If a value passes what float16 holds, or as `audit` does.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(content)
        found = audit(path, cases=cases)
    if found.overflows:
        where = ", ".join(f"{node.name!r} ({node.operator}, {node.largest:,.0f})" for node in found.overflows)
        raise EngineError(
            f"values pass float16's {FLOAT16_MAX:,.0f} behind {where}, and the plan would give NaN: build with a "
            "smaller scale (--scale quarter, or sixteenth), or build a float32 model with --precision fp32"
        )
    return found.to_json()


class _Tally:
    """What the steps of all cases amount to."""

    def __init__(self) -> None:
        self.norms: dict[str, NormRange] = {}
        self.layers: dict[str, LayerError] = {}
        self.overflows: dict[str, Overflow] = {}

    def add(self, step: Step) -> None:
        if step.operator == "InstanceNormalization":
            largest = max(_largest(step.inputs), getattr(self.norms.get(step.name), "largest", 0.0))
            self.norms[step.name] = NormRange(step.name, largest, FLOAT16_MAX / max(largest, _SMALLEST))
        before, error = (max(twin.relative_error for twin in twins) for twins in (step.inputs, step.outputs))
        if math.isfinite(error) and step.operator not in {"Cast", *MOVES}:
            seen = self.layers.get(step.name)
            if seen is None or seen.relative_error < error:
                self.layers[step.name] = LayerError(step.name, step.operator, error, before)
        if math.isfinite(before) and math.isinf(error):
            largest = max(_largest(step.outputs), getattr(self.overflows.get(step.name), "largest", 0.0))
            self.overflows[step.name] = Overflow(step.name, step.operator, largest)


class _Engine:
    """Stands in for the network of the CPU backend: the twins' softmaxes, one a run, the exact one first."""

    precision = "fp16"

    def __init__(self, model: Model, evaluation: TwinEvaluation, tally: _Tally) -> None:
        self.model = model
        self.rounded: NDArray[np.float32] | None = None
        self.difference = 0.0
        self._evaluation = evaluation
        self._tally = tally

    def infer(self, crop: NDArray[np.float32], softmax: NDArray[np.float32], absent: Sequence[int] = ()) -> None:
        if absent:
            raise ValueError("an audit is of complete cases")
        if self.rounded is not None:
            softmax[...] = self.rounded
            return
        last = self._evaluation.run(crop, self._tally.add)
        softmax[...] = last.exact
        self.rounded = None if math.isinf(last.relative_error) else last.rounded
        self.difference = float(np.abs(last.exact - last.rounded).max())


def _agreement(
    model: Model, evaluation: TwinEvaluation, tally: _Tally, seed: int, threads: int | None
) -> CaseAgreement:
    from ..backends import StageOptions
    from ..backends.cpu import CpuBackend
    from ..case import load_case
    from ..demo import make_phantom
    from ..metrics import dice

    modalities, phantom = model.spec.modalities, make_phantom(seed)
    volumes = load_case({str(name): volume for name, volume in phantom.volumes.items()}, modalities).volumes
    engine = _Engine(model, evaluation, tally)
    options = StageOptions(tta=False, min_region=_MIN_REGION, label_values=_LABEL_VALUES, keep_probabilities=False)
    backend = CpuBackend(cast(Any, engine), options, threads=threads)
    ordered = [(modality, volumes[modality]) for modality in modalities]
    exact = backend.run(ordered).labels
    name, boundary = f"demo phantom, seed {seed}", _boundary(exact)
    found: dict[str, Any] = {"dice": None, "flipped": None, "flipped_off_boundary": None, "softmax_difference": None}
    if engine.rounded is not None:
        labels = backend.run(ordered).labels
        flips = labels != exact
        found["dice"] = dice(labels, exact, label_values=_LABEL_VALUES)
        found["flipped"] = int(flips.sum())
        found["flipped_off_boundary"] = int((flips & ~boundary).sum())
        found["softmax_difference"] = engine.difference
    return CaseAgreement(case=name, boundary=int(boundary.sum()), **found)


def _boundary(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Voxels that share a face with another label."""
    touching = np.zeros(labels.shape, np.bool_)
    for axis in range(labels.ndim):
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        differs = labels[low] != labels[high]
        touching[low] |= differs
        touching[high] |= differs
    return touching


def _largest(twins: Sequence[Twin]) -> float:
    return max(max(float(twin.exact.max()), -float(twin.exact.min())) for twin in twins)
