"""A calibration from cases with references, and a model's file with it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError, EngineError
from ..files import write_whole
from .calibration import METADATA_KEY, Calibration, Curve, StructureCalibration
from .score import STRUCTURES, RawScore

KNOTS = 5
CASES_A_KNOT = 5  # at least: a mean of fewer says little


def isotonic(values: NDArray[Any], weights: NDArray[Any] | None = None) -> NDArray[np.float64]:
    """The sequence that never falls and is nearest to `values` in weighted squares, by pooling adjacent violators.

    Parameters
    ----------
    values
        (n,).
    weights
        (n,), positive; None weighs all alike.

    Source: Ayer, Brunk, Ewing, Reid and Silverman, Annals of Mathematical Statistics 26, 1955.
    """
    weights = np.ones(len(values)) if weights is None else weights
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        mean, mass, length = float(value), float(weight), 1
        while pools and pools[-1][0] >= mean:
            before, earlier, count = pools.pop()
            mean = (before * earlier + mean * mass) / (earlier + mass)
            mass, length = mass + earlier, length + count
        pools.append((mean, mass, length))
    means, lengths = [pool[0] for pool in pools], [pool[2] for pool in pools]
    return np.asarray(np.repeat(np.asarray(means, np.float64), lengths))


def fit_curve(raw: NDArray[Any], dice: NDArray[Any], *, knots: int = KNOTS) -> Curve:
    """The curve of some cases: means of neighbours in the raw score, made to rise.

    Parameters
    ----------
    raw, dice
        (n,), of each case, from 0 to 1.
    knots
        At most so many, and so few that `CASES_A_KNOT` cases stand behind each; cases of one score stay together.

    Raises
    ------
    ValueError
        If there is no case, the lengths differ, or a number is not from 0 to 1.
    """
    raw, dice = np.asarray(raw, np.float64), np.asarray(dice, np.float64)
    if raw.ndim != 1 or raw.shape != dice.shape or not len(raw):
        raise ValueError(f"scores of shape {raw.shape} and Dice of {dice.shape}; expected one of each a case")
    if not all(((numbers >= 0) & (numbers <= 1)).all() for numbers in (raw, dice)):
        raise ValueError("a score or a Dice is not from 0 to 1: leave out the cases without one")
    order = np.argsort(raw, kind="stable")
    raw, dice = raw[order], dice[order]
    number = max(1, min(knots, len(raw) // CASES_A_KNOT))
    starts = np.linspace(0, len(raw), number + 1).astype(int)[:-1]
    starts = np.unique(np.searchsorted(raw, raw[starts]))  # the first case of its score
    counts = np.diff([*starts, len(raw)])
    scores = np.add.reduceat(raw, starts) / counts
    rising = np.clip(isotonic(np.add.reduceat(dice, starts) / counts, counts), 0.0, 1.0)
    return Curve(tuple((float(score), float(value)) for score, value in zip(scores, rising, strict=True)))


def calibrate(
    cases: Iterable[tuple[Mapping[str, RawScore], Mapping[str, float]]], *, fitted_on: str, knots: int = KNOTS
) -> Calibration:
    """Fit the curves of all structures.

    Parameters
    ----------
    cases
        Of each its `Segmentation.raw_confidence`, and its Dice as `metrics.dice` gives them: 1 where neither side has
        the structure.
    fitted_on
        The cases in words.

    Raises
    ------
    ValueError
        As `fit_curve`, or if there are no cases.
    EngineError
        If the words cannot be printed in one line.
    """
    listed = list(cases)
    if not listed:
        raise ValueError("no cases to fit a calibration on")

    def curve(name: str, *, found: bool) -> Curve | None:
        pairs = [(s[name].value, d[name.replace("_", " ")]) for s, d in listed if s[name].found == found]
        return fit_curve(*np.array(pairs).T, knots=knots) if pairs else None

    return Calibration(
        fitted_on,
        {name: StructureCalibration(curve(name, found=True), curve(name, found=False)) for name in STRUCTURES},
    )


def with_calibration(
    model: str | os.PathLike[str],
    calibration: Calibration,
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write a model's file with a calibration in its metadata, in place of the one that it may have.

    The file's sha256 is another then.

    Raises
    ------
    EngineError
        If the model cannot be read.
    CaseError
        If the output exists without `overwrite`, or cannot be written.
    """
    import onnx
    from google.protobuf.message import DecodeError

    target = Path(output)
    if os.path.lexists(target) and not overwrite:
        raise CaseError(f"{target}: exists already and is kept; pass overwrite or name another output")
    try:
        proto = onnx.load_model_from_string(Path(model).read_bytes())
    except OSError as fault:
        raise EngineError(f"{model}: the model cannot be read ({fault.strerror}); name an .onnx file") from None
    except DecodeError:
        raise EngineError(f"{model}: not an ONNX model; export one with `brats-trt convert`") from None
    metadata = {entry.key: entry.value for entry in proto.metadata_props if entry.key != METADATA_KEY}
    onnx.helper.set_model_props(proto, {**metadata, **calibration.to_metadata()})
    write_whole(target, proto.SerializeToString())
