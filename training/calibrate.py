"""What a model expects of itself, made into the Dice that it had on phantoms of the held-out kind; kept in its file.

`python training/calibrate.py training-output/demo-uncalibrated.onnx -o training-output/demo.onnx`
Cases that are done are kept beside the output, so that the work can be stopped and go on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from judge import judge
from phantoms import CALIBRATION_CASES
from rich.console import Console
from rich.progress import track

from brats_trt import CaseWarning
from brats_trt.confidence.fit import calibrate, with_calibration
from brats_trt.errors import BratsTrtError

FITTED_ON = f"{len(CALIBRATION_CASES)} phantoms of the held-out kind"


def main(arguments: list[str] | None = None) -> int:
    """Calibrate; 0 when it is done, 2 where the call or the input is at fault."""
    parser = argparse.ArgumentParser(description="Calibrate a model's confidence on phantoms. Resumes by itself.")
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model with its calibration")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    warnings.simplefilter("ignore", CaseWarning)  # of artefacts that are there on purpose
    try:
        running = judge(options.model, options.output.with_suffix(".calibration.jsonl"), CALIBRATION_CASES)
        rows = track(running, "calibration", total=len(CALIBRATION_CASES), console=console)
        cases = [(score.raw, score.dice) for row in rows for score in row]
        with_calibration(options.model, calibrate(cases, fitted_on=FITTED_ON), options.output, overwrite=True)
    except (BratsTrtError, OSError) as fault:
        console.print(f"[bold red]error:[/] {fault}", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        return 130
    console.print(f"{options.output}: calibrated on {FITTED_ON}", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
