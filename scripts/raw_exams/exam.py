"""An exam of one phantom as DICOM files, with what lies around in real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid

from brats_trt.demo.phantom import Phantom
from brats_trt.raw.source import RawExam

from .dicom import USUAL, Room, write_enhanced, write_series
from .scanning import AXIAL, CLINICAL, SAGITTAL, grid_of, head_centre, raw_exam


def write_exam(
    folder: Path, phantom: Phantom, head: Phantom, *, grids: Mapping = CLINICAL, enhanced: bool = False
) -> RawExam:
    """Write the series of `head`, whose brain is that of `phantom`, and a localiser, a reformat and a text file.

    Returns
    -------
    The series as they were written.
    """
    centre = head_centre(phantom)
    exam = raw_exam(head, grids, centre=centre)
    room = Room(folder)
    write = write_enhanced if enhanced else write_series
    for number, (modality, raw) in enumerate(exam.series.items(), start=2):
        write(room, raw.volume.data, raw.affine, number=number, **USUAL[modality])
    scout = {"SeriesDescription": "AAHead_Scout", "SeriesInstanceUID": generate_uid()}
    for directions in (AXIAL, SAGITTAL):
        shape = (160, 160, 3)
        write_series(room, np.zeros(shape, np.int16), grid_of(directions, (1.6, 1.6, 20.0), shape, centre), **scout)
    reformat = USUAL["t1ce"] | {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
    shape = (200, 220, 40)
    write_series(room, np.zeros(shape, np.int16), grid_of(AXIAL, (1.0, 1.0, 3.0), shape, centre), number=9, **reformat)
    (folder / "notes.txt").write_text("This file is no DICOM.\n")
    return exam
