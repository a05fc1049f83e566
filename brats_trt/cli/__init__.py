"""The command line: parses, calls, prints. Exit codes: 0 done, 2 the input or the call is at fault, 1 anything else."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import BratsTrtError
from ..notice import NOTICE
from .bench import measure_speed
from .build import build_engine
from .console import one_line
from .convert import convert_checkpoint
from .demo import show_demo
from .doctor import examine
from .evaluate import evaluate_cases
from .segment import segment_cases
from .series import show_series
from .verify import verify_output

app = typer.Typer(
    name="brats-trt",
    help=f"Brain tumour segmentation in MRI. {NOTICE}",
    epilog=NOTICE,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo", epilog=NOTICE)(show_demo)
app.command("segment", epilog=NOTICE)(segment_cases)
app.command("series", epilog=NOTICE)(show_series)
app.command("convert", epilog=NOTICE)(convert_checkpoint)
app.command("build", epilog=NOTICE)(build_engine)
app.command("verify", epilog=NOTICE)(verify_output)
app.command("evaluate", epilog=NOTICE)(evaluate_cases)
app.command("bench", epilog=NOTICE)(measure_speed)
app.command("doctor", epilog=NOTICE)(examine)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"brats_trt {__version__}. {NOTICE}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: an error that brats_trt raises on purpose is one line on stderr and exit code 2."""
    try:
        app()
    except BratsTrtError as fault:
        typer.echo(f"brats-trt: {one_line(fault)}", err=True)
        sys.exit(2)
