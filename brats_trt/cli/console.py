"""What the commands print with: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..confidence import STRUCTURES as CALIBRATED

STRUCTURES = {
    "whole_tumour": "whole tumour",
    "tumour_core": "tumour core",
    "enhancing": "enhancing",
    "necrotic": "necrotic",
    "oedema": "oedema",
}


def stdout() -> Console:
    """For results."""
    return Console(highlight=False, soft_wrap=True)


def stderr() -> Console:
    """For progress, warnings and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Within it, warnings are lines on stderr when they are given, without the source line that gave them."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: stderr().print(f"warning: {message}", markup=False)
        yield


class CaseProgress:
    """A bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, bar: Progress | None, total: int) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", total=total) if bar else None
        self._done = 0
        self._total = total

    def start(self, name: str) -> None:
        """Say which case is being worked on."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, description=escape(name))

    def done(self, line: str) -> None:
        """Count a case as finished, with what became of it."""
        self._done += 1
        if self._bar and self._task is not None:
            self._bar.advance(self._task)
        self._console.print(f"[{self._done}/{self._total}] {line}", markup=False)

    def warn(self, line: str) -> None:
        """Print a warning."""
        self._console.print(f"warning: {line}", markup=False)


@contextmanager
def case_progress(total: int) -> Iterator[CaseProgress]:
    """Progress over `total` cases, on stderr."""
    console = stderr()
    if not console.is_terminal:
        yield CaseProgress(console, None, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield CaseProgress(console, bar, total)


@contextmanager
def phase_progress(start: str) -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, told the phase and the share that is done; elsewhere the line `start` when it begins."""
    console = stderr()
    if not console.is_terminal:
        lines = [start]

        def begin(phase: str, share: float) -> None:
            while lines:
                console.print(lines.pop(), markup=False)

        yield begin
        return
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda phase, share: bar.update(task, completed=share, description=escape(phase))


def volume_table(cases: Mapping[str, Mapping[str, float]]) -> Table:
    """Millilitres of each structure, a row a case."""
    rows = {name: [f"{volumes[key]:.2f}" for key in STRUCTURES] for name, volumes in cases.items()}
    return plain_table("Volumes (ml)", tuple(STRUCTURES.values()), rows)


def confidence_table(cases: Mapping[str, Mapping[str, float | None]], fitted_on: str) -> Table:
    """The Dice to be expected of each structure, a row a case; "-" is not known."""
    scored = tuple(CALIBRATED)
    rows = {name: [_dice(expected.get(key)) for key in scored] for name, expected in cases.items()}
    title = f"Dice to be expected, calibrated on {escape(fitted_on)}"
    return plain_table(title, tuple(STRUCTURES[key] for key in scored), rows)


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def timing_table(cases: Mapping[str, Mapping[str, float]]) -> Table:
    """Milliseconds of each stage, a row a case."""
    stages = list(dict.fromkeys(stage for timings in cases.values() for stage in timings))
    rows = {name: [f"{timings[stage]:.1f}" for stage in stages] for name, timings in cases.items()}
    return plain_table("Times (ms)", stages, rows)


def dice_table(dice: Mapping[str, float]) -> Table:
    """Dice of each structure."""
    return plain_table("Dice", tuple(dice), {"": [f"{value:.4f}" for value in dice.values()]})


def plain_table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]], *, first: str = "case") -> Table:
    """A table without frame: a row's name under `first`, then its cells to the right."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column(first if any(rows) else "")
    for column in columns:
        table.add_column(column, justify="right")
    for name, cells in rows.items():
        table.add_row(escape(name), *cells)
    return table


def one_line(fault: Exception) -> str:
    """An error's message without line breaks."""
    return " ".join(str(fault).split())
