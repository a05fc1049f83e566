"""What the scripts that fetch parts of a build have in common: a package manager's download, and how it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


class DownloadError(Exception):
    """A package cannot be had: no package manager, no network, or no such package."""


class HashError(Exception):
    """A file is another than the one that was asked for."""


def download(command: Sequence[str], folder: Path, pattern: str, *, name: str) -> Path:
    """Let a package manager fetch one file into an empty folder, which is made if need be.

    Raises
    ------
    DownloadError
        With its last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found = sorted(folder.glob(pattern))
    if done.returncode or len(found) != 1:
        reason = (done.stderr.strip().splitlines() or ["no reason is given"])[-1]
        raise DownloadError(f"{name} cannot be downloaded ({reason})")
    return found[0]


def run(fetch: Callable[[], bool], *, name: str, without: str, optional: bool) -> bool:
    """Fetch, and end the script where that fails: with exit code 1, or 0 for a download that is optional."""
    try:
        return fetch()
    except DownloadError as fault:
        print(f"no {name}: {fault}; {without}")
        sys.exit(0 if optional else 1)
    except HashError as fault:
        sys.exit(f"{name} refused: {fault}")
