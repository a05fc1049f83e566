"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

from .errors import CaseError

_PIECE = 4 * 1024**2  # bytes


def write_whole(target: Path, content: bytes) -> None:
    """Write a file by a temporary one in the same folder and a rename, with the process's file creation mask.

    Raises
    ------
    CaseError
        If the folder or the file cannot be written, or is there and is no file, such as a device or a pipe.
    """
    check_target(target)
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


def check_target(target: Path) -> None:
    """Check that what is there under a file's name, if anything, is a file: a rename would put one in its place.

    Raises
    ------
    CaseError
        If it is a folder, a device, a pipe or a socket, or a link to one.
    """
    try:
        mode = target.stat().st_mode
        descriptor = target.is_symlink() and os.readlink(target).startswith("/proc/")  # /dev/stdout, whatever it is now
    except OSError:  # nothing there, or a link to nothing
        return
    if stat.S_ISDIR(mode):
        raise CaseError(f"{target}: is a folder and is kept; choose another output")
    if descriptor or not stat.S_ISREG(mode):
        raise CaseError(f"{target}: is a device, a pipe or a socket and is kept; give the name of a file")


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Refuse what exists, links to nothing too, unless it may be replaced.

    Raises
    ------
    CaseError
        If it exists and may not.
    """
    if os.path.lexists(target) and not overwrite:
        raise CaseError(f"{target}: exists already and is kept; pass overwrite (--overwrite) or name another output")


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


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
