"""Write an exam: `PYTHONPATH=scripts python -m raw_exams OUT [--seed N] [--stripped] [--enhanced]`.

Four series of one phantom on four clinical grids, under names that say nothing, with a localiser, a reformat and a text
file among them. `OUT_reference.nii.gz` has the labels on the grid of the contrast-enhanced T1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel

from brats_trt.demo import make_phantom

from .exam import write_exam
from .scanning import labels_on
from .skull import with_skull


def main() -> None:
    """Write an exam."""
    parser = argparse.ArgumentParser(description="Write a synthetic exam as DICOM files.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stripped", action="store_true", help="without a skull")
    parser.add_argument("--enhanced", action="store_true", help="enhanced MR, a file a series")
    options = parser.parse_args()
    phantom = make_phantom(options.seed)
    head = phantom if options.stripped else with_skull(phantom, seed=options.seed)
    t1ce = write_exam(options.output, phantom, head, enhanced=options.enhanced).series["t1ce"]
    reference = options.output.with_name(f"{options.output.name}_reference.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels_on(phantom, t1ce), t1ce.affine), reference)


if __name__ == "__main__":
    main()
