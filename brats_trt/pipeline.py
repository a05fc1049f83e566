"""Many cases: while one is computed, the next is loaded and the one before is saved.

Each stage has a thread, which begins a case only when the one before has been taken from it. So in memory are at most
the volumes of two cases, one in the network and one ahead of it, and two results that the caller has not been given,
one that waits behind the network and one that is saved. Most of a stage's work leaves the interpreter free.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .case import ImageSource
    from .segmentation import Segmentation

_Item = TypeVar("_Item")


@dataclass(frozen=True, eq=False)
class CaseOutcome:
    """What became of one case: a result, or the error that ended it.

    Attributes
    ----------
    case
        As it was given.
    result
        None where there is an error.
    error
        `CaseError`, `EngineError` or whatever else was raised; None where there is a result.
    """

    case: ImageSource
    result: Segmentation | None = None
    error: Exception | None = None


@dataclass(frozen=True, eq=False)
class _Attempt:
    """A case on its way: what the stages so far made of it."""

    case: Any
    made: Any
    error: Exception | None = None


def run_stages(
    cases: Iterable[ImageSource], stages: Sequence[Callable[[Any], Any]]
) -> Generator[CaseOutcome, None, None]:
    """Put each case through the stages, each stage in a thread of its own, and yield the outcomes in the cases' order.

    The first stage takes a case, the last gives a `Segmentation`. What a stage raises ends that case only. What `cases`
    itself raises, which is iterated in a thread, is raised when the outcomes before it have been taken.

    Closing the generator, or an exception in it, drops what no stage has begun, and waits for what one has.
    """
    # No loop variable, no generator expression: either would keep a case alive while the next one is waited for.
    items: Iterator[_Attempt] = map(_begin, cases)
    threads: list[Ahead[_Attempt]] = []
    try:
        for number, stage in enumerate(stages):
            items = Ahead(map(partial(_go_on, stage), items), f"brats_trt-stage-{number}")
            threads.append(items)
        yield from map(_end, items)
    finally:
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join()


def _begin(case: ImageSource) -> _Attempt:
    return _Attempt(case, case)


def _go_on(stage: Callable[[Any], Any], attempt: _Attempt) -> _Attempt:
    if attempt.error is not None:
        return attempt
    try:
        return replace(attempt, made=stage(attempt.made))
    except Exception as fault:  # the outcome says it, and the other cases go on
        return replace(attempt, made=None, error=fault)


def _end(attempt: _Attempt) -> CaseOutcome:
    if attempt.error is not None:
        clear_frames(attempt.error.__traceback__)  # whose variables would keep the case's volumes as long as the error
    return CaseOutcome(attempt.case, attempt.made, attempt.error)


class Ahead(Iterator[_Item], Generic[_Item]):
    """Iterates in a thread, one item ahead: the next is begun when the one before is taken.

    The thread waits only for items, so that an iterator which was left behind does not keep a program from ending.
    """

    def __init__(self, items: Iterator[_Item], name: str) -> None:
        self._items = items
        self._stopped = False
        self._pool = ThreadPoolExecutor(1, name)
        self._item = self._pool.submit(next, items)

    def __next__(self) -> _Item:
        item = self._item.result()
        if self._stopped:
            raise StopIteration
        self._item = self._pool.submit(next, self._items)
        return item

    def stop(self) -> None:
        """Begin no further item, and give out none."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait for the item that is being made."""
        self._pool.shutdown()
