"""A worker's own process: `python -m brats_trt.serve.worker_main CHANNEL LIFELINE`, descriptors that it inherits.

It ends with the service, however that ends: the lifeline is a pipe that nobody writes to, and that closes with the
service's process. Ctrl-C in a terminal goes to the service, which tells its workers.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from ..errors import BratsTrtError
from .channel import Channel, ChannelClosedError
from .shared_arrays import attach, share

Arrays = Mapping[str, NDArray[Any]]


class Work(Protocol):
    """Computes one case."""

    def __call__(
        self, content: dict[str, Any], arrays: Arrays, enter: Callable[[str], None]
    ) -> tuple[dict[str, Any], Arrays]:
        """An answer, as JSON takes it, and its arrays; `enter` is told each stage as it begins."""


class Job(Protocol):
    """What a worker is for: everything is loaded here, once, and checked."""

    def __call__(self, options: dict[str, Any]) -> Work:
        """What computes cases from then on."""


def work_for(channel: Channel) -> None:
    """Load the job that comes first, and answer cases until the other end is closed."""
    order = channel.receive().content
    module, _, name = order["job"].partition(":")
    try:
        job: Job = getattr(importlib.import_module(module), name)
        work = job(order["options"])
    except BratsTrtError as fault:
        channel.send({"refused": str(fault)})
        return
    channel.send({"ready": True})
    while True:
        message = channel.receive()
        arrays = attach(message.descriptors[0], message.content["layout"])
        for descriptor in message.descriptors:
            os.close(descriptor)
        try:
            answer, made = work(message.content["case"], arrays, lambda stage: channel.send({"stage": stage}))
        except BratsTrtError as fault:
            channel.send({"refused": str(fault)})
            continue
        finally:
            del arrays
        descriptor, layout = share(made)
        channel.send({"answer": answer, "layout": layout}, [descriptor])
        os.close(descriptor)


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os._exit(1)


def main() -> None:
    """Run until the service closes the connection, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel, lifeline = Channel(socket.socket(fileno=int(sys.argv[1]))), int(sys.argv[2])
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    try:
        work_for(channel)
    except ChannelClosedError:
        return


if __name__ == "__main__":
    main()
