"""What a network computes in on the CPU."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import EngineError
from .agreement import agrees
from .model import Model

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def choose_precision(model: Model, runtime: str, asked: str, available: tuple[str, ...]) -> str:
    """The precision to compute in: "auto" is 16 bits only where the processor has them and the labels agree.

    Parameters
    ----------
    runtime
        "native" or "openvino".
    available
        What the runtime computes in natively on this processor.

    Raises
    ------
    EngineError
        If the processor lacks the precision that was asked for.
    """
    if asked == "auto":
        return next((name for name in ("bf16", "fp16") if name in available and agrees(model, runtime, name)), "fp32")
    if asked not in get_args(Precision):
        raise EngineError(f"precision {asked!r} is not known; expected one of {list(get_args(Precision))}")
    if asked not in available:
        raise EngineError(
            f"precision {asked!r} was asked for, but this processor computes in {list(available)} only: "
            "use precision='auto'"
        )
    return asked
