"""One line of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "differs", "unknown", "not checked"]


@dataclass(frozen=True)
class Check:
    """One comparison.

    Attributes
    ----------
    subject
        What was compared: "labels", "probabilities" or "entropy", "grid", a modality, "model", "plan".
    status
        "unknown" is what was asked for and cannot be compared, "not checked" what was not asked for.
    finding
        Both sides, in words.
    """

    subject: str
    status: Status
    finding: str


def compared(subject: str, recorded: str, found: str) -> Check:
    """Two sha256 of one thing."""
    if recorded == found:
        return Check(subject, "ok", f"sha256 {short(found)}")
    return Check(subject, "differs", f"recorded sha256 {recorded}, found {found}")


def short(sha256: str) -> str:
    """Enough of a sha256 to tell it by where it is not compared."""
    return f"{sha256[:16]}..."
