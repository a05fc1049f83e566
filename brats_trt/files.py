"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .errors import CaseError


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises
    ------
    CaseError
        If the folder or the file cannot be written.
    """
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as fault:
        raise CaseError(f"{target.parent}: the folder cannot be written ({fault.strerror}): choose another") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as fault:
        os.unlink(temporary)
        raise CaseError(f"{target}: cannot be written ({fault.strerror}): choose another output") from None
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's file creation mask, which mkstemp does not follow."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
