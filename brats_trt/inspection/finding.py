"""What a check found: a name for programs and one line for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something about a case that looks wrong.

    Attributes
    ----------
    code
        Names the check: lower-case words with hyphens between them.
    message
        One line: what was seen with its number, what it suggests, what to do.
    """

    code: str
    message: str
