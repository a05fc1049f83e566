"""Ctrl-C while a library of C++ works: remembered, so that the library can be stopped cleanly, and raised afterwards.

Python runs its signal handler in the main thread only, and only between two instructions of Python; the main thread is
inside the library. What arrives at once is the byte that Python's own handler in C writes to the wake-up descriptor, so
any thread may ask for it. Where the program has a handler of its own for Ctrl-C, or another thread builds, nothing is
changed.
"""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress
from types import FrameType, TracebackType

from ..errors import EngineError


class Interruption:
    """A context in which Ctrl-C becomes an answer of `arrived`, and KeyboardInterrupt at its end."""

    def __init__(self) -> None:
        self._arrived = False
        self._ours = False

    def __enter__(self) -> Interruption:
        main = threading.current_thread() is threading.main_thread()
        self._ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._ours:
            self._reader, self._writer = socket.socketpair()
            self._reader.setblocking(False)
            self._writer.setblocking(False)
            self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            if self._wakeup != -1:  # somebody waits for signals there: then Ctrl-C is seen when Python runs again
                signal.set_wakeup_fd(self._wakeup)
            signal.signal(signal.SIGINT, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ours:
            return
        arrived = self.arrived()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._wakeup == -1:
            signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()
        if arrived and (fault is None or isinstance(fault, EngineError)):
            raise KeyboardInterrupt from None

    def arrived(self) -> bool:
        """Whether Ctrl-C was pressed; may be asked from any thread."""
        if self._ours and not self._arrived:
            with suppress(BlockingIOError):
                self._arrived = signal.SIGINT in self._reader.recv(64)
        return self._arrived

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._arrived = True
