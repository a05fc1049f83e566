"""The attributes of an MXNet node: text that means numbers, tuples, flags or words.

An operator's converter takes what it honours, with MXNet's default; whatever is left over at the end must be known not
to matter at inference, else the node is refused.
"""

from __future__ import annotations

import math
import re
from typing import TypeVar

from .symbol import Node

# Memory and algorithm choices of MXNet's kernels.
_TUNING = {"workspace", "cudnn_tune", "cudnn_off", "cudnn_algo_fwd", "cudnn_algo_bwd_data", "cudnn_algo_bwd_filter"}
# What MXNet lets users attach to any node; `__` around a name marks it as theirs.
_HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage", "profiler_scope")
_NUMBERS = re.compile(r"-?[0-9]{1,9}L?(?: *, *-?[0-9]{1,9}L?)* *,?")
_FLAGS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}
_ABSENT = ("None", "")

Value = TypeVar("Value")


class Attributes:
    """A node's attributes, each taken once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._left = {key: value.strip() for key, value in node.attributes.items()}

    def integer(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """One integer; without a default the attribute must be there."""
        values = self._integers(name)
        if not values and default is not None:
            return default
        if len(values) != 1 or values[0] < least:
            raise self._fault(name, values, f"one integer of at least {least}")
        return values[0]

    def axes(self, name: str) -> tuple[int, ...]:
        """Any number of integers; none for an attribute that is absent."""
        return self._integers(name)

    def extent(self, name: str, rank: int, default: int | None, *, least: int) -> tuple[int, ...]:
        """One integer for each spatial axis; `()` stands for the default."""
        values = self._integers(name)
        if not values and default is not None:
            return (default,) * rank
        if len(values) != rank or min(values) < least:
            raise self._fault(name, values, f"{rank} integers of at least {least}")
        return values

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        text = self._left.pop(name, None)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) < 1e30:
            raise self._fault(name, text, "a number")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A truth value."""
        text = self._left.pop(name, None)
        return default if text is None else self._look_up(name, text, _FLAGS)

    def word(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        return self._look_up(name, self._left.pop(name, default), {choice: choice for choice in choices})

    def drop(self, *names: str) -> None:
        """Pass over attributes that do not matter at inference."""
        for name in names:
            self._left.pop(name, None)

    def finish(self) -> None:
        """Refuse the node if it has attributes that nobody took and that may matter."""
        unknown = sorted(key for key in self._left if not _is_ignorable(key))
        if unknown:
            raise self._fault(unknown[0], self._left[unknown[0]], "no such attribute")

    def _integers(self, name: str) -> tuple[int, ...]:
        text = self._left.pop(name, "")
        if text in _ABSENT:
            return ()
        inner = text[1:-1].strip() if text[0] + text[-1] in ("()", "[]") else text
        if inner and not _NUMBERS.fullmatch(inner):
            raise self._fault(name, text, "integers")
        return tuple(int(part.strip().rstrip("L")) for part in inner.split(",") if part.strip())

    def _look_up(self, name: str, text: str, meanings: dict[str, Value]) -> Value:
        if text not in meanings:
            raise self._fault(name, text, f"one of {', '.join(meanings)}")
        return meanings[text]

    def _fault(self, name: str, found: object, expected: str) -> Exception:
        return self._node.fault(
            f"the attribute {name[:80]!r} is {str(found)[:80]!r}; expected {expected}: "
            "the network needs an operator that is not understood here"
        )


def _is_ignorable(key: str) -> bool:
    return key in _TUNING or (key.startswith("__") and key.endswith("__")) or key.endswith(_HIDDEN)
