"""The fastest of several ways to build one network, on the device at hand.

All candidates are built first and then timed in turn, round after round and every other round backwards: what else the
machine does in the meantime meets all of them alike. One whose answer is not the reference's, within bounds, is out.
Nothing here knows OpenVINO or TensorRT: what builds, times and answers is the caller's.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..backends.agreement import LEAST_DICE
from ..backends.model import CLASSES
from ..errors import CaseError, EngineError

RecipeT = TypeVar("RecipeT")
CandidateT = TypeVar("CandidateT")
Softmax = NDArray[np.float32]

LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Trial(Generic[RecipeT]):
    """One recipe and what it came to.

    Attributes
    ----------
    times_ms
        Of the rounds, in their order; empty for one that is out.
    speedup
        The first recipe's time over this one's, round by round, the median: a drift of the machine cancels out. 0 for
        one that is out, or where the first is.
    least_dice
        Of the four classes, against the reference; None for one that was not built or is not finite.
    flipped
        Voxels of another class than the reference's; None as `least_dice` is.
    fault
        Why it is out; None for one that is in.
    """

    recipe: RecipeT
    times_ms: tuple[float, ...] = ()
    speedup: float = 0.0
    least_dice: float | None = None
    flipped: int | None = None
    fault: str | None = None

    @property
    def median_ms(self) -> float:
        """Of the rounds."""
        return statistics.median(self.times_ms)

    @property
    def spread(self) -> float:
        """The range of the middle half of the times over their median."""
        low, _, high = statistics.quantiles(self.times_ms, n=4, method="inclusive")
        return (high - low) / self.median_ms


@dataclass(frozen=True)
class Tuning(Generic[RecipeT]):
    """All trials: those that are in by median time, then those that are out."""

    trials: tuple[Trial[RecipeT], ...]

    @property
    def best(self) -> Trial[RecipeT]:
        """The fastest that is in.

        Raises
        ------
        EngineError
            If none is.
        """
        first = self.trials[0]
        if first.fault is not None:
            faults = "; ".join(f"{trial.recipe}: {trial.fault}" for trial in self.trials)
            raise EngineError(f"none of {len(self.trials)} recipes gives an engine that agrees ({faults}): use fp32")
        return first


def tune(
    recipes: Sequence[RecipeT],
    build: Callable[[RecipeT], CandidateT],
    measure: Callable[[CandidateT], float],
    *,
    answer: Callable[[CandidateT], Softmax],
    reference: Softmax,
    least_dice: float = LEAST_DICE,
    rounds: int = 9,
    say: Callable[[str], None] = lambda _: None,
) -> Tuning[RecipeT]:
    """Build every recipe, time those that agree with the reference, and rank them.

    Parameters
    ----------
    build
        Makes a candidate; an `EngineError` puts the recipe out. All that are in are alive at the same time.
    measure
        Runs a candidate once and gives the milliseconds it took: on a GPU those between two events.
    answer
        Runs a candidate on the reference's input and gives its (1, 4, D, H, W) softmax.
    reference
        The softmax that counts as right.
    least_dice
        A candidate is out where a class's Dice against the reference is less.
    say
        Told what is going on, a line at a time.

    Raises
    ------
    CaseError
        If there is no recipe, or there are fewer than three rounds.
    """
    if not recipes or rounds < LEAST_ROUNDS:
        raise CaseError(
            f"{len(recipes)} recipes and {rounds} rounds were asked for; expected at least 1 and {LEAST_ROUNDS}"
        )
    trials: list[Trial[RecipeT]] = []
    candidates: dict[int, CandidateT] = {}
    for index, recipe in enumerate(recipes):
        say(f"building {index + 1} of {len(recipes)}: {recipe}")
        try:
            candidate = build(recipe)
            trial = _judge(recipe, answer(candidate), reference, least_dice)
        except EngineError as found:
            trial = Trial(recipe, fault=str(found))
        if trial.fault is None:
            candidates[index] = candidate
        else:
            say(f"out: {trial.fault}")
        trials.append(trial)
    times = _time(candidates, measure, rounds, say)
    for index, taken in times.items():
        ratios = [base / time for base, time in zip(times.get(0, ()), taken, strict=False)]
        speedup = statistics.median(ratios) if ratios else 0.0
        trials[index] = replace(trials[index], times_ms=tuple(taken), speedup=speedup)
    timed = sorted((trials[index] for index in times), key=lambda trial: trial.median_ms)
    return Tuning((*timed, *(trial for trial in trials if trial.fault is not None)))


def _judge(recipe: RecipeT, softmax: Softmax, reference: Softmax, least_dice: float) -> Trial[RecipeT]:
    if softmax.shape != reference.shape or not np.isfinite(softmax).all():
        fault = f"its softmax of the shape {softmax.shape} is not finite or not of the shape {reference.shape}"
        return Trial(recipe, fault=fault)
    least, flipped = agreement(softmax, reference)
    low = f"the least Dice of a class is {least:.5f}, below {least_dice:g}" if least < least_dice else None
    return Trial(recipe, least_dice=least, flipped=flipped, fault=low)


def _time(
    candidates: dict[int, CandidateT], measure: Callable[[CandidateT], float], rounds: int, say: Callable[[str], None]
) -> dict[int, list[float]]:
    times: dict[int, list[float]] = {index: [] for index in candidates}
    for index in candidates:
        measure(candidates[index])  # not counted: first runs take memory and choose kernels
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        for index in list(candidates) if turn % 2 == 0 else reversed(list(candidates)):
            times[index].append(measure(candidates[index]))
    return times


def agreement(softmax: Softmax, reference: Softmax) -> tuple[float, int]:
    """The least Dice of a class between two (1, 4, D, H, W) softmaxes, and how many voxels change their class.

    A class that neither has counts as 1.
    """
    pairs = reference.argmax(axis=1).ravel() * CLASSES + softmax.argmax(axis=1).ravel()
    table = np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    both, sizes = np.diagonal(table), table.sum(axis=0) + table.sum(axis=1)
    scores = [2.0 * int(hit) / int(size) if size else 1.0 for hit, size in zip(both, sizes, strict=True)]
    return min(scores), int(table.sum() - both.sum())
