"""What a service is asked to do, and what it sends out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# A patient on the table goes before a case that is run again.
Priority = Literal["urgent", "routine"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "routine")
# What becomes of a job whose deadline has passed: its label map is sent nevertheless, marked late, or none is.
Late = Literal["send", "drop"]


@dataclass(frozen=True, eq=False)
class Request:
    """A job as a door asks for it.

    Attributes
    ----------
    key
        Who asks twice with one key has asked once.
    door
        Which of the doors asks.
    payload
        The case, as the door and the worker agree on it.
    deadline
        When the answer is late: seconds since 1970.
    """

    key: str
    door: str
    payload: bytes
    deadline: float
    priority: Priority = "routine"
    late: Late = "send"


@dataclass(frozen=True, eq=False)
class Job:
    """A request that was accepted.

    Attributes
    ----------
    number
        Its own, in the order in which jobs came.
    attempts
        How often it was begun, this time included.
    """

    number: int
    request: Request
    attempts: int

    def is_late(self, now: float) -> bool:
        """Whether its deadline has passed."""
        return now > self.request.deadline


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A result on its way.

    Attributes
    ----------
    destination
        Where it goes to, as its door understands it.
    attempts
        How often it was sent in vain.
    """

    number: int
    job: int
    destination: str
    content: bytes
    attempts: int
