"""An exam's DICOM series against those of a record, whatever their files are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import CaseError
from ..exam import read_exam
from ..exam.voxels import files_sha256
from .check import Check, short
from .parts import InputRecord


def check_series(recorded: Sequence[InputRecord], given: Sequence[str | os.PathLike[str]]) -> Iterator[Check]:
    """Compare a record's series with those of the exam's folder.

    Raises
    ------
    CaseError
        If something else than one folder was given, or it cannot be read.
    """
    if len(given) != 1 or not Path(given[0]).is_dir():
        raise CaseError("the record is of DICOM series; expected the exam's folder as the only input")
    exam = read_exam(given[0])
    found = {files_sha256(entry.stack): entry.number for entry in exam.series if entry.stack is not None}
    for series in recorded:
        if series.sha256 is None:
            yield Check(series.modality, "unknown", "recorded without a sha256, since it was not to be hashed")
        elif series.sha256 in found:
            number = found[series.sha256]
            yield Check(series.modality, "ok", f"series {number}, sha256 {short(series.sha256)}")
        else:
            sought = f"recorded a series of sha256 {series.sha256}"
            yield Check(series.modality, "differs", f"{sought}, found none such among {len(found)} of the exam")
