"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .errors import CaseError


def write_whole(target: Path, content: bytes) -> None:
    """Write a file by a temporary one in the same folder and a rename, with the process's file creation mask.

    Raises
    ------
    CaseError
        If the folder or the file cannot be written.
    """
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as fault:
        raise CaseError(f"{target}: cannot be written ({fault.strerror}): choose another output") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, target)
    except OSError as fault:
        temporary.unlink(missing_ok=True)
        raise CaseError(f"{target}: cannot be written ({fault.strerror}): choose another output") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder for output, and its parents.

    Raises
    ------
    CaseError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise CaseError(f"{folder}: the output folder cannot be made ({fault.strerror}): choose another") from None


def check_folder(folder: Path) -> None:
    """Check, without making anything, that a folder is there or can be made, and can be written.

    Raises
    ------
    CaseError
        If not.
    """
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise CaseError(f"{folder}: the output folder cannot be made ({nearest} is no folder): choose another")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise CaseError(f"{folder}: the output folder cannot be written: choose another")
