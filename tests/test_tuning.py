from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt import CaseError, EngineError
from brats_trt.plans.tuning import Trial, Tuning, agreement, tune

SHAPE = (1, 4, 8, 8, 8)


def softmax(seed=0):
    scores = np.random.default_rng(seed).random(SHAPE, np.float32)
    return scores / scores.sum(axis=1, keepdims=True)


class Machine:
    """Candidates whose times are known; writes down what happens to them."""

    def __init__(self, milliseconds, *, drift=0.0, faults=(), answers=None):
        self.milliseconds, self.drift, self.faults = milliseconds, drift, faults
        self.answers = answers or {}
        self.log, self.clock = [], 0.0

    def build(self, recipe):
        self.log.append(f"build {recipe}")
        if recipe in self.faults:
            raise EngineError(f"no tactic for {recipe}")
        return recipe

    def measure(self, candidate):
        self.log.append(candidate)
        self.clock += self.drift
        return self.milliseconds[candidate] + self.clock

    def answer(self, candidate):
        return self.answers.get(candidate, softmax())

    def tune(self, **options):
        recipes = list(self.milliseconds)
        return tune(recipes, self.build, self.measure, answer=self.answer, reference=softmax(), **options)


def test_the_fastest_that_agrees_is_kept():
    found = Machine({"plain": 10.0, "slow": 12.0, "fast": 7.0}).tune()
    assert [trial.recipe for trial in found.trials] == ["fast", "plain", "slow"]
    assert found.best.recipe == "fast"
    assert found.best.median_ms == 7.0
    assert found.best.speedup == pytest.approx(10 / 7)
    assert found.best.spread == 0.0
    assert (found.best.least_dice, found.best.flipped, found.best.fault) == (1.0, 0, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.best.speedup = 2.0


def test_candidates_take_turns_and_every_other_round_runs_backwards():
    machine = Machine({"a": 1.0, "b": 2.0})
    machine.tune(rounds=3)
    assert machine.log == ["build a", "build b", "a", "b", "a", "b", "b", "a", "a", "b"]


def test_a_machine_that_grows_slower_favours_nobody():
    # the machine loses more from run to run than the candidates differ by
    found = Machine({"a": 100.0, "b": 102.0, "c": 99.0}, drift=3.0).tune(rounds=10)
    assert [trial.recipe for trial in found.trials] == ["c", "a", "b"]


def test_one_that_is_faster_and_wrong_is_out():
    machine = Machine({"right": 10.0, "wrong": 1.0}, answers={"wrong": softmax(seed=1)})
    found = machine.tune()
    assert found.best.recipe == "right"
    wrong = found.trials[1]
    assert wrong.times_ms == ()
    assert "the least Dice of a class is 0." in wrong.fault
    assert wrong.flipped > 0
    assert machine.log.count("wrong") == 0
    assert machine.tune(least_dice=0.0).best.recipe == "wrong"


def test_an_answer_that_is_not_finite_is_out():
    broken = softmax()
    broken[0, 0, 0, 0, 0] = np.nan
    found = Machine({"right": 2.0, "broken": 1.0, "other": 1.0}, answers={"broken": broken, "other": softmax()[:, :2]})
    trials = found.tune().trials
    assert [trial.recipe for trial in trials] == ["right", "broken", "other"]
    assert all("not finite or not of the shape (1, 4, 8, 8, 8)" in trial.fault for trial in trials[1:])


def test_one_that_cannot_be_built_is_out_with_its_reason():
    found = Machine({"a": 1.0, "b": 2.0}, faults=("a",)).tune()
    assert found.best == found.trials[0]
    assert (found.best.recipe, found.best.speedup) == ("b", 0.0)
    assert found.trials[1] == Trial("a", fault="no tactic for a")


def test_any_other_error_is_the_callers():
    def build(recipe):
        raise MemoryError

    with pytest.raises(MemoryError):
        tune(["a"], build, float, answer=lambda _: softmax(), reference=softmax())


def test_nothing_is_best_where_nothing_agrees():
    found = Machine({"a": 1.0, "b": 2.0}, faults=("a", "b")).tune()
    with pytest.raises(EngineError, match=r"none of 2 recipes gives an engine that agrees .a: no tactic for a; b: no"):
        _ = found.best


@pytest.mark.parametrize(("recipes", "rounds"), [([], 9), (["a"], 2)])
def test_too_little_to_compare_is_refused(recipes, rounds):
    with pytest.raises(CaseError, match=rf"{len(recipes)} recipes and {rounds} rounds .*; expected at least 1 and 3"):
        tune(recipes, str, lambda _: 1.0, answer=lambda _: softmax(), reference=softmax(), rounds=rounds)


def test_what_goes_on_is_told():
    said = []
    Machine({"a": 1.0, "b": 2.0}, faults=("b",)).tune(rounds=3, say=said.append)
    assert said == [
        "building 1 of 2: a",
        "building 2 of 2: b",
        "out: no tactic for b",
        "round 1 of 3",
        "round 2 of 3",
        "round 3 of 3",
    ]


def test_the_spread_is_that_of_the_middle_half():
    trial = Trial("a", times_ms=(1.0, 2.0, 3.0, 4.0, 500.0))
    assert trial.median_ms == 3.0
    assert trial.spread == pytest.approx((4 - 2) / 3)
    assert Tuning((trial,)).best is trial


@given(left=st.integers(0, 2**32), right=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_agreement_is_dice_by_its_definition(left, right):
    found, expected = softmax(left), softmax(right)
    least, flipped = agreement(found, expected)
    classes = [array.argmax(axis=1) for array in (found, expected)]
    scores = []
    for c in range(4):
        a, b = (labels == c for labels in classes)
        scores.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert least == pytest.approx(min(scores))
    assert flipped == (classes[0] != classes[1]).sum()
    assert agreement(expected, expected) == (1.0, 0)


def test_a_class_that_neither_has_counts_as_right():
    one = np.zeros(SHAPE, np.float32)
    one[:, 2] = 1
    assert agreement(one, one) == (1.0, 0)
