"""How far a build is, from TensorRT's nested phases: one share that never falls, and the name of the phase.

A phase has a number of steps, and a step may be a phase of its own. TensorRT calls from threads of its own, and an
exception must not pass through it: what a callback raises is kept, the build is told to stop, and the caller raises it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The phase's name, and the share of the whole build that is done, 0 to 1.
Report = Callable[[str, float], None]


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """The phases of one build.

    Parameters
    ----------
    report
        Called after each step.
    stop
        Asked after each step whether the build should stop.
    """

    def __init__(self, report: Report | None = None, stop: Callable[[], bool] | None = None) -> None:
        self.failure: BaseException | None = None
        self._report = report
        self._stop = stop
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, within another or on its own."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def finish(self, name: str) -> None:
        """A phase ends."""
        with self._lock:
            self._phases.pop(name, None)

    def step(self, name: str, index: int) -> bool:
        """Step `index` of a phase is done; whether the build should go on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = index + 1
            self._share = max(self._share, self._share_at(name))
            try:
                if self._report is not None and self.failure is None:
                    self._report(name, self._share)
                stopped = self._stop is not None and self._stop()
            except BaseException as fault:
                self.failure = fault
            return self.failure is None and not stopped

    def _share_at(self, name: str) -> float:
        """The share of the outermost phase, in which each phase is a part of its parent's next step."""
        share = 0.0
        for _ in range(len(self._phases)):
            phase = self._phases.get(name)
            if phase is None:
                break
            share = min(phase.done + share, phase.steps) / phase.steps
            name = phase.parent or ""
        return share


def monitor_for(module: Any, progress: BuildProgress) -> Any:
    """TensorRT's progress monitor that tells `progress`."""
    base: Any = module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

    return Monitor()
