"""Fetch NiiVue, the viewer of `segment --report`, for an installation to carry.

npm downloads its package. One file of it is checked by its sha256 and written, compressed, into `build/niivue`, where
CMake looks for it. Run again, it does nothing. Pages are then made and read without npm and without a network.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
VERSION = "0.69.0"
PACKAGE = f"@niivue/niivue@{VERSION}"
MEMBER = "package/dist/niivue.umd.js"
SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"
TARGET = REPOSITORY / "build" / "niivue" / f"niivue-{VERSION}.umd.js.gz"


class DownloadError(Exception):
    """The package cannot be had: no npm, no network, or no such package."""


class HashError(Exception):
    """The file is another than the one that was asked for."""


def download(folder: Path) -> Path:
    """Let npm fetch the package into an empty folder.

    Raises
    ------
    DownloadError
        With npm's last words.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadError(f"npm, which downloads {PACKAGE}, is not installed: install Node.js with npm")
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found = sorted(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        reason = (done.stderr.strip().splitlines() or ["npm says nothing"])[-1]
        raise DownloadError(f"{PACKAGE} cannot be downloaded ({reason})")
    return found[0]


def extract(package: Path) -> bytes:
    """The viewer's script.

    Raises
    ------
    HashError
        If the package has no such file, or another.
    """
    with tarfile.open(package) as archive:
        file = archive.extractfile(MEMBER) if MEMBER in archive.getnames() else None
        content = file.read() if file else b""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise HashError(f"{MEMBER} of {package.name} has the sha256 {found}; expected {SHA256}: nothing was written")
    return content


def is_current(target: Path) -> bool:
    """Whether the file lies there already."""
    try:
        return hashlib.sha256(gzip.decompress(target.read_bytes())).hexdigest() == SHA256
    except (OSError, EOFError):
        return False


def fetch(target: Path, package: Path | None = None) -> bool:
    """Write the compressed script, whole or not at all; False where it lies there already.

    Raises
    ------
    DownloadError, HashError
        If the package cannot be had, or does not hold the expected file.
    """
    if is_current(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".niivue-") as scratch:
        content = extract(package or download(Path(scratch)))
        written = Path(scratch) / target.name
        written.write_bytes(gzip.compress(content, 9, mtime=0))
        written.replace(target)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=TARGET, help="the file to write")
    parser.add_argument("--package", type=Path, help="take this file instead of npm's download")
    parser.add_argument("--optional", action="store_true", help="exit with 0 where the package cannot be downloaded")
    arguments = parser.parse_args()

    try:
        fetched = fetch(arguments.target, arguments.package)
    except DownloadError as fault:
        print(f"no NiiVue: {fault}; brats_trt is installed without the viewer of reports")
        sys.exit(0 if arguments.optional else 1)
    except HashError as fault:
        sys.exit(f"NiiVue refused: {fault}")
    print(f"NiiVue {VERSION} {'fetched into' if fetched else 'is in'} {arguments.target}")


if __name__ == "__main__":
    main()
