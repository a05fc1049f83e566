"""What TensorRT says while it works: kept for the text of errors, printed nowhere.

TensorRT holds on to the first logger that a process gives it and uses it from any thread, also after the object that it
came with is gone. So there is one a library, which lives as long as the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

_ERRORS = ("INTERNAL_ERROR", "ERROR")
_MOST_LINES = 3
_LONGEST = 400
# Said when nothing is wrong, too: by a builder on a machine without a GPU, and of a logger that a thread has not set.
_NOISE = ("catchCudaError", "Thread context has not been set")


class Log:
    """Error lines, for whoever listens."""

    def __init__(self) -> None:
        self._listeners: list[list[str]] = []

    def record(self, severity: str, message: str) -> None:
        """Take one line; called by TensorRT, from any thread."""
        if severity in _ERRORS:
            for lines in tuple(self._listeners):
                lines.append(" ".join(message.split()))

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """The error lines of all that happens meanwhile in this process."""
        lines: list[str] = []
        self._listeners.append(lines)
        try:
            yield lines
        finally:
            self._listeners[:] = [kept for kept in self._listeners if kept is not lines]


def reason(lines: list[str], nothing: str) -> str:
    """Error lines as a part of one message; `nothing` where there are none."""
    telling = [line for line in lines if not any(noise in line for noise in _NOISE)]
    told = "; ".join(list(dict.fromkeys(telling or lines))[:_MOST_LINES])
    return told[:_LONGEST] if told else nothing


@cache
def log_of(module: ModuleType) -> tuple[Log, Any]:
    """The log of a library and the logger to hand over to it."""
    log = Log()
    base: Any = module.ILogger

    class Logger(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            log.record(severity.name, msg)

    return log, Logger()
