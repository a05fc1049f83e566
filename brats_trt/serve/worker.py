"""A process that computes, as the service sees it: started, given cases, watched, killed where it hangs.

Whatever becomes of it, the service goes on: a worker that ends or is silent for longer than the stage that it is in may
take is an error of that one case, and the next case gets a new process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from tempfile import gettempdir
from typing import Any

from numpy.typing import NDArray

from .channel import Channel, ChannelClosedError, ChannelTimeoutError, Message
from .errors import CaseRefusedError, ServiceError, WorkerDiedError, WorkerHungError
from .shared_arrays import attach, share

START = "start"
_SEND_LIMIT_S = 10.0
_LEAVE_LIMIT_S = 5.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a worker makes of a case.

    Attributes
    ----------
    content
        As the worker's job has it.
    arrays
        Read-only, by name, in memory that the worker does not have any more.
    """

    content: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Worker:
    """One process at a time, which runs one case at a time.

    Parameters
    ----------
    job
        What the process runs, "module:function": see `worker_main.Job`.
    options
        Given to it once, as JSON takes them.
    limits
        Seconds that the process may be silent in each stage, by name; "start" is until it is ready, and from a case's
        begin to the first stage of it that has a limit.

    Raises
    ------
    ValueError
        If a limit is not above 0, or "start" has none.
    """

    def __init__(self, job: str, options: Mapping[str, Any], limits: Mapping[str, float]) -> None:
        if START not in limits or min(limits.values()) <= 0:
            raise ValueError(
                f"limits are {dict(limits)}; expected seconds above 0 for each stage, {START!r} among them"
            )
        self._job, self._options, self._limits = job, dict(options), dict(limits)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._lifeline = -1

    @property
    def process_id(self) -> int | None:
        """Of the process; None where none runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a process where none runs, and wait until it is ready.

        Raises
        ------
        WorkerDiedError, WorkerHungError
            If it ends instead, or takes longer than it may; it is gone then.
        ServiceError
            If there can be no process, or its job refuses the options, with its own words; it is gone then.
        """
        if self._process is not None:
            return
        self._channel, its = Channel.pair()
        reading, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "brats_trt.serve.worker_main", str(its.fileno()), str(reading)]
        try:
            # From a folder that no source lies in: what is installed is what runs.
            self._process = subprocess.Popen(
                command, pass_fds=[its.fileno(), reading], stdin=subprocess.DEVNULL, cwd=gettempdir()
            )
        except OSError as fault:
            self.stop()
            raise ServiceError(f"no process can be started ({fault.strerror}): free memory, or allow more") from None
        finally:
            its.close()
            os.close(reading)
        try:
            self._channel.send({"job": self._job, "options": self._options}, timeout=_SEND_LIMIT_S)
            self._wait(START)
        except CaseRefusedError as fault:
            self.stop()
            raise ServiceError(str(fault)) from None
        except (ChannelClosedError, ChannelTimeoutError):
            raise self._died(START) from None

    def run(self, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Answer:
        """Have a case computed; started first where no process runs.

        Raises
        ------
        CaseRefusedError
            If the case is at fault, in the job's own words; the process stays.
        WorkerDiedError, WorkerHungError
            If the process ended in it, or was silent for longer than its stage may take; it is gone then.
        ServiceError
            If there is no memory for the arrays.
        """
        self.start()
        assert self._channel is not None
        descriptor, layout = share(arrays)
        try:
            self._channel.send({"case": dict(content), "layout": layout}, [descriptor], timeout=_SEND_LIMIT_S)
        except (ChannelClosedError, ChannelTimeoutError):
            raise self._died(START) from None
        finally:
            os.close(descriptor)
        message = self._wait(START)
        try:
            return Answer(message.content["answer"], attach(message.descriptors[0], message.content["layout"]))
        finally:
            for found in message.descriptors:
                os.close(found)

    def stop(self) -> None:
        """Let the process end by itself, and kill it where it does not."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            try:
                self._process.wait(_LEAVE_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
        self._process, self._channel, self._lifeline = None, None, -1

    def _wait(self, stage: str) -> Message:
        """Follow the process from stage to stage until it is ready, or has an answer."""
        assert self._channel is not None
        while True:
            try:
                message = self._channel.receive(timeout=self._limits[stage])
            except ChannelTimeoutError:
                raise self._hung(stage) from None
            except ServiceError:
                raise self._died(stage) from None
            said = message.content
            if "stage" in said:
                stage = said["stage"] if said["stage"] in self._limits else stage
            elif "refused" in said:
                raise CaseRefusedError(str(said["refused"]))
            else:
                return message

    def _hung(self, stage: str) -> WorkerHungError:
        self._kill()
        return WorkerHungError(f"the worker was silent for {self._limits[stage]:g} s in {stage!r}, and was killed")

    def _died(self, stage: str) -> WorkerDiedError:
        """What ended the process, of which a closed connection is the first sign."""
        assert self._process is not None
        try:
            code = self._process.wait(_LEAVE_LIMIT_S)
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with the exit code {code}"
        except subprocess.TimeoutExpired:
            how = "was not understood, and was killed,"
        self._kill()
        return WorkerDiedError(f"the worker {how} in {stage!r}")

    def _kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self.stop()
