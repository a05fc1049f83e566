"""Times of stages that follow one another."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Milliseconds between laps, by name."""

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        """Book the time since the last lap under `name`."""
        now = perf_counter()
        self.laps_ms[name] = (now - self._last) * 1e3
        self._last = now
