"""Files that a command is to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import CaseError
from ..files import check_folder


def check_outputs(outputs: Mapping[str, Path], *, overwrite: bool) -> None:
    """Refuse outputs that cannot be written, before any work is done; by the names of their options.

    Raises
    ------
    CaseError
        If one is a folder, exists without `overwrite`, has no folder, or is named twice.
    """
    for name, path in outputs.items():
        twins = [
            other for other in outputs if other != name and os.path.abspath(outputs[other]) == os.path.abspath(path)
        ]
        if twins:
            raise CaseError(f"{path}: --{name} and --{twins[0]} would both be written there: name two files")
        if path.is_dir():
            raise CaseError(f"{path}: is a folder and is kept; name a file")
        if os.path.lexists(path) and not overwrite:
            raise CaseError(f"{path}: exists already and is kept; pass --overwrite or name another file")
        if not path.absolute().parent.is_dir():
            raise CaseError(f"{path.parent}: no such folder; make it or name another")
        check_folder(path.absolute().parent)
