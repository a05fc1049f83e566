"""Reports: one HTML page a segmented case, and one that links the cases. Each is one file that needs no network.

Importing this package imports Pillow. What the pages show and how it is defined stands in `docs/report.md`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CaseError
from ..files import refuse_existing, write_whole
from ..measures import measure
from ..pictures.scene import states_orientation
from ..segmentation import Segmentation
from .case_page import draw_page
from .cohort_page import CaseSummary, draw_cohort
from .still import THUMBNAIL, draw_still
from .viewer import load_viewer

__all__ = ["CaseSummary", "load_viewer", "save_cohort", "save_report"]


def save_report(
    result: Segmentation,
    path: str | os.PathLike[str],
    *,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> CaseSummary:
    """Write a case's page, by a temporary file and a rename.

    Parameters
    ----------
    result
        Of a segmenter with `keep_volumes=True`, from volumes on the host.
    record
        The run's, as JSON has it, which is part of the page; by default the result's own, where it has one.

    Returns
    -------
    What `save_cohort` says of the case.

    Raises
    ------
    ValueError
        If the result does not have its case, or the record is no JSON.
    CaseError
        If the path is not .html, exists without `overwrite`, or cannot be written; or if a volume lies on a GPU, which
        is not copied quietly.
    EngineError
        If the package was installed without its viewer.
    """
    target = _checked(path, overwrite=overwrite)
    if record is None and result.provenance is not None:
        record = result.record.document()
    measures = measure(result)
    page = draw_page(result, measures, record)
    summary = CaseSummary(
        name=result.name,
        page=target.name,
        thumbnail=draw_still(result, THUMBNAIL),
        volumes_ml=result.volumes_ml,
        measures=measures,
        warnings=result.portable_warnings,
        oriented=states_orientation(result),
        seconds=result.timings_ms["total"] / 1e3,
    )
    write_whole(target, page.encode("utf-8"))
    return summary


def save_cohort(
    cases: Sequence[CaseSummary],
    path: str | os.PathLike[str],
    *,
    failed: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the page that links the pages of some cases, which lie in its folder.

    Parameters
    ----------
    failed
        Cases without a page, each with its error.

    Raises
    ------
    CaseError
        If the path is not .html, exists without `overwrite`, or cannot be written.
    """
    target = _checked(path, overwrite=overwrite)
    write_whole(target, draw_cohort(cases, failed or {}).encode("utf-8"))


def _checked(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    target = Path(path)
    if target.suffix.lower() != ".html":
        raise CaseError(f"{target}: expected a name that ends in .html: rename the output")
    refuse_existing(target, overwrite=overwrite)
    return target
