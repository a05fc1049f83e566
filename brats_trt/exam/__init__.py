"""An exam as it comes from the scanner: a folder of DICOM files, whose series are found, ordered and recognised.

`read_exam` reads headers only; `Exam.load` reads the voxels of the series that were chosen. Needs the extra `dicom`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaseError
from ..geometry import Affine
from ..spec import Modality
from ..volume import Volume
from .choice import choose, described, mapped
from .reading import read_header
from .series import Series, find_series
from .voxels import read_voxels

__all__ = ["Exam", "Series", "described", "read_exam"]

MOST_FILES = 100_000


@dataclass(frozen=True, eq=False)
class Exam:
    """What was understood of a folder.

    Attributes
    ----------
    series
        All of them, numbered from 1.
    passed_over
        How many files were no DICOM.
    """

    series: tuple[Series, ...]
    passed_over: int

    def chosen(self, *, incomplete: bool = False) -> dict[Modality, Series]:
        """The series of each modality.

        Raises
        ------
        CaseError
            If one has none or several.
        """
        return choose(self.series, incomplete=incomplete)

    def load(self, entry: Series, *, digest: bool = False) -> tuple[Volume, Affine]:
        """A series' voxels, x, y, z as its images' columns, rows and slices, and their affine in RAS millimetres.

        Parameters
        ----------
        digest
            Note the sha256 of the files' sha256, in increasing order.

        Raises
        ------
        CaseError
            If it makes no volume, or a file cannot be decoded.
        """
        if entry.stack is None:
            raise CaseError(f"series {entry.number} makes no volume: {entry.recognition.reason}")
        return read_voxels(entry.stack, f"series {entry.number}", digest=digest), entry.stack.affine


def read_exam(folder: str | os.PathLike[str], mapping: Mapping[str, str] | None = None) -> Exam:
    """The series of an exam's folder, nested or flat, whatever its files are called.

    Parameters
    ----------
    mapping
        Modality to series, by number, UID or description, in place of what the rules say.

    Raises
    ------
    CaseError
        If the folder cannot be read or holds no DICOM, a file is damaged, or the files are of several exams or
        patients.
    """
    paths = sorted(_files(Path(folder)))
    headers = [header for path in paths if (header := read_header(path)) is not None]
    if not headers:
        raise CaseError(f"{folder}: {len(paths)} files, none of them DICOM; give the folder of an exam")
    return Exam(mapped(find_series(headers), mapping or {}), len(paths) - len(headers))


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder; links to folders are not followed."""
    if not folder.is_dir():
        raise CaseError(f"{folder}: no such folder; give the folder of an exam")

    def refuse(fault: OSError) -> None:
        raise CaseError(f"{fault.filename}: cannot be read ({fault.strerror}): copy the exam again") from None

    number = 0
    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            path = Path(parent, name)
            if path.is_file():
                number += 1
                if number > MOST_FILES:
                    raise CaseError(f"{folder}: over {MOST_FILES} files; give the folder of one exam")
                yield path
