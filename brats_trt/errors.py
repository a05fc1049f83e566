"""The package's errors. Every message says what came, what was expected and what to do."""

from __future__ import annotations


class BratsTrtError(Exception):
    """Any error that brats_trt raises on purpose."""


class CaseError(BratsTrtError, ValueError):
    """The input is at fault: a missing modality, differing grids, an unreadable file."""


class EngineError(BratsTrtError, RuntimeError):
    """The engine is at fault: an unreadable model, a missing runtime, a device that is not there."""
