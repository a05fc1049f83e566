"""Messages between the processes of a service: a small JSON object, and descriptors of shared memory with it.

A socket of packets keeps messages apart, so that a process that is killed in the midst of one leaves none half sent.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ServiceError

LARGEST_MESSAGE = 64 * 1024
LARGEST_COUNT = 4


class ChannelClosedError(ServiceError):
    """The process at the other end is gone."""


class ChannelTimeoutError(ServiceError):
    """The process at the other end is silent."""


@dataclass(frozen=True)
class Message:
    """What came.

    Attributes
    ----------
    descriptors
        The receiver's to close.
    """

    content: dict[str, Any]
    descriptors: tuple[int, ...]


class Channel:
    """One end of a connection between two processes. One thread at a time sends, and one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Both ends of a new connection."""
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(first), cls(second)

    def fileno(self) -> int:
        """The end's descriptor, for a child process to inherit and for `select`."""
        return self._end.fileno()

    def close(self) -> None:
        """Let go of this end; the other one is told."""
        self._end.close()

    def send(self, content: dict[str, Any], descriptors: Sequence[int] = (), *, timeout: float | None = None) -> None:
        """Send a message; the descriptors stay the sender's too.

        Raises
        ------
        ChannelClosedError
            If nobody is at the other end.
        ChannelTimeoutError
            If the other end takes nothing for `timeout` seconds.
        ServiceError
            If the message is larger than a message may be.
        """
        packet = json.dumps(content, separators=(",", ":")).encode()
        if len(packet) > LARGEST_MESSAGE or len(descriptors) > LARGEST_COUNT:
            raise ServiceError(
                f"a message of {len(packet)} bytes and {len(descriptors)} descriptors; at most {LARGEST_MESSAGE} and "
                f"{LARGEST_COUNT} go"
            )
        self._end.settimeout(timeout)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self._end.sendmsg([packet], rights, socket.MSG_NOSIGNAL)
        except TimeoutError:
            raise ChannelTimeoutError(f"the other process took nothing for {timeout:g} s") from None
        except OSError as fault:
            raise ChannelClosedError(f"the other process is gone ({fault.strerror})") from None

    def receive(self, *, timeout: float | None = None) -> Message:
        """Wait for a message.

        Raises
        ------
        ChannelClosedError
            If the other end was closed, or its process ended.
        ChannelTimeoutError
            If none comes within `timeout` seconds.
        ServiceError
            If what comes is no JSON object or too large; its descriptors are closed.
        """
        self._end.settimeout(timeout)
        room = socket.CMSG_SPACE(LARGEST_COUNT * array.array("i").itemsize)
        try:
            packet, ancillary, flags, _ = self._end.recvmsg(LARGEST_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            raise ChannelTimeoutError(f"the other process was silent for {timeout:g} s") from None
        except OSError as fault:
            raise ChannelClosedError(f"the other process is gone ({fault.strerror})") from None
        descriptors = _descriptors(ancillary)
        if not packet:
            _close(descriptors)
            raise ChannelClosedError("the other process is gone")
        try:
            content = json.loads(packet)
        except (ValueError, RecursionError):
            content = None
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or not isinstance(content, dict):
            _close(descriptors)
            raise ServiceError("the other process sent something that is no message")
        return Message(content, descriptors)


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
