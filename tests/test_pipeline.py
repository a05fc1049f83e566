"""Stages in threads: order, isolation, bounds and ends. Events instead of times: what waits in vain fails."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from tempfile import gettempdir

import pytest

from brats_trt import CaseError
from brats_trt.pipeline import run_stages

PATIENCE = 30  # seconds until a wait is in vain


class Thing:
    """What a stage makes of a case."""

    def __init__(self, *parts):
        self.parts = parts


def wait(event):
    assert event.wait(PATIENCE), "the stages do not overlap"


def stage_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("brats_trt-stage")]


def results(outcomes):
    return [outcome.result for outcome in outcomes]


@pytest.mark.parametrize("number", [0, 1, 2, 9])
def test_outcomes_come_in_the_order_of_the_cases(number):
    outcomes = list(run_stages(range(number), [lambda case: case + 0.5, lambda made: made * 10, str]))
    assert [outcome.case for outcome in outcomes] == list(range(number))
    assert results(outcomes) == [str((case + 0.5) * 10) for case in range(number)]
    assert not any(outcome.error for outcome in outcomes)


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("fault", [CaseError("planted"), MemoryError("planted"), StopIteration("planted")])
def test_an_error_ends_its_case_only(stage, fault):
    seen = []

    def fail(made):
        if made == 2:
            raise fault
        return made

    stages = [fail if number == stage else lambda made: made for number in range(3)]
    outcomes = list(run_stages(range(5), [*stages, lambda made: seen.append(made) or made]))
    assert results(outcomes) == [0, 1, None, 3, 4]
    assert [outcome.error for outcome in outcomes] == [None, None, fault, None, None]
    assert seen == [0, 1, 3, 4], "no later stage sees the failed case"


def test_loading_and_saving_go_on_beside_the_computation():
    loaded, computing, saving = ([threading.Event() for _ in range(3)] for _ in range(3))

    def load(case):
        loaded[case].set()
        return case

    def compute(case):
        computing[case].set()
        if case < 2:
            wait(loaded[case + 1])
        if case > 0:
            wait(saving[case - 1])
        return case

    def save(case):
        saving[case].set()
        if case < 2:
            wait(computing[case + 1])
        return case

    assert results(run_stages(range(3), [load, compute, save])) == [0, 1, 2]


def test_what_the_caller_does_with_an_outcome_overlaps_too():
    computed = [threading.Event() for _ in range(3)]
    for outcome in run_stages(range(3), [lambda case: computed[case].set() or case]):
        if outcome.case < 2:
            wait(computed[outcome.case + 1])


def test_no_more_is_begun_than_one_case_a_stage():
    begun, change = [], threading.Condition()

    def load(case):
        with change:
            begun.append(case)
            change.notify()
        return case

    for taken, _ in enumerate(run_stages(range(8), [load, lambda case: case, lambda case: case]), start=1):
        with change:
            assert change.wait_for(lambda taken=taken: len(begun) >= min(8, taken + 3), PATIENCE)
            change.wait(0.01)
            assert len(begun) == min(8, taken + 3), "one is saved, one computed, one loaded"


def test_two_cases_are_in_memory_and_two_results_beside_the_callers():
    cases, made = [], []

    def alive(references):
        return sum(reference() is not None for reference in references)

    def load(case):
        assert alive(cases) <= 1
        thing = Thing(case)
        cases.append(weakref.ref(thing))
        return thing

    def compute(thing):
        assert alive(made) <= 3
        result = Thing(*thing.parts)
        made.append(weakref.ref(result))
        return result

    numbers = [outcome.result.parts[0] for outcome in run_stages(range(40), [load, compute, lambda result: result])]
    assert numbers == list(range(40))
    assert (alive(cases), alive(made)) == (0, 0)


def test_a_kept_error_does_not_keep_its_case():
    cases = []

    def compute(thing):
        cases.append(weakref.ref(thing))
        raise CaseError(f"planted in {thing.parts[0]}")

    errors = [outcome.error for outcome in run_stages(range(3), [Thing, compute])]
    assert [reference() for reference in cases] == [None] * 3
    assert str(errors[1]) == "planted in 1"
    assert "in compute" in "".join(traceback.format_exception(errors[1])), "where it came from is kept"


def test_leaving_early_ends_the_threads_and_finishes_what_was_begun():
    begun, finished = [], []
    saving, goes_on = threading.Event(), threading.Event()

    def save(case):
        begun.append(case)
        if case == 1:
            saving.set()
            wait(goes_on)
        finished.append(case)
        return case

    outcomes = run_stages(itertools.count(), [lambda case: case, lambda case: case, save])
    assert next(outcomes).result == 0
    wait(saving)
    threading.Timer(0.05, goes_on.set).start()
    outcomes.close()
    assert not stage_threads()
    assert begun == finished == [0, 1]


def test_nothing_is_begun_before_an_outcome_is_asked_for():
    seen = []
    outcomes = run_stages([1], [seen.append])
    assert not stage_threads()
    outcomes.close()
    assert not seen


def test_threads_end_with_the_last_outcome():
    assert len(list(run_stages(range(3), [str, str]))) == 3
    assert not stage_threads()


def test_ctrl_c_is_raised_where_the_caller_waits_and_the_stages_end_whole():
    finished = []

    def compute(case):
        if case == "1":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return case

    with pytest.raises(KeyboardInterrupt):
        finished.extend(outcome.case for outcome in run_stages(itertools.count(), [str, compute, str]))
    assert finished in ([], [0])
    assert not stage_threads()


def test_a_fault_of_the_cases_iterator_is_raised_after_the_outcomes_before_it():
    def cases():
        yield 1
        yield 2
        raise ValueError("planted")

    outcomes = run_stages(cases(), [str, str])
    assert [next(outcomes).result, next(outcomes).result] == ["1", "2"]
    with pytest.raises(ValueError, match="planted"):
        next(outcomes)
    assert not stage_threads()


def test_an_exit_within_a_stage_is_no_outcome():
    def leave(case):
        if case == 1:
            raise SystemExit(3)
        return case

    outcomes = run_stages(range(3), [leave, lambda case: case])
    assert next(outcomes).result == 0
    with pytest.raises(SystemExit):
        next(outcomes)
    assert not stage_threads()


def test_outcomes_that_are_left_behind_do_not_keep_a_program_from_ending():
    code = "from itertools import count; from brats_trt.pipeline import run_stages; "
    code += "left = run_stages(count(), [str, str, str]); print(next(left).result)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir(), timeout=PATIENCE
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")
