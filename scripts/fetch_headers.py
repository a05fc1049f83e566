"""Fetch the C++ headers of TensorRT and CUDA that `brats_trt._tensorrt` is compiled with; no library, no GPU.

They come in wheels, which pip downloads: TensorRT 10.14's in `kernel-lens`, CUDA's in `nvidia-cuda-runtime` and
`nvidia-cuda-crt`. Each wheel's sha256 is checked, and only its headers are unpacked, into `build/headers/tensorrt` and
`build/headers/cuda`, where CMake looks for them. Run again, it does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import fetching

REPOSITORY = Path(__file__).resolve().parents[1]
STAMP = "SHA256"
# CUDA's wheels differ by platform, the headers do not: one platform is asked for, so that one hash is enough.
PLATFORM = "manylinux2014_x86_64"


@dataclass(frozen=True)
class Wheel:
    """A wheel, the folder of headers in it, and the folder that they go to."""

    requirement: str
    sha256: str
    headers: str
    target: str


WHEELS = (
    Wheel(
        "kernel-lens==2.0.1",
        "07cc714e8b5e7f34b672f7c7fad93febe7c747be5837ba276b1527370134ffe0",
        "kernel_lens/include/tensorrt",
        "tensorrt",
    ),
    Wheel(
        "nvidia-cuda-runtime==13.5.37",
        "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
        "nvidia/cu13/include",
        "cuda",
    ),
    Wheel(
        "nvidia-cuda-crt==13.5.37",
        "e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29",
        "nvidia/cu13/include",
        "cuda",
    ),
)


def download(wheel: Wheel, folder: Path) -> Path:
    """Let pip fetch a wheel into an empty folder.

    Raises
    ------
    DownloadError
        With pip's last words.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = ["--only-binary", ":all:", "--platform", PLATFORM, "--dest", str(folder)]
    return fetching.download([*command, *options, wheel.requirement], folder, "*.whl", name=wheel.requirement)


def find(wheel: Wheel, folder: Path) -> Path | None:
    """The wheel in a folder of wheels, by its name and version."""
    name, version = wheel.requirement.split("==")
    return next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)


def check(wheel: Wheel, path: Path) -> None:
    """Compare a wheel's sha256 with the expected one.

    Raises
    ------
    HashError
        If they differ.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise fetching.HashError(
            f"{path.name} has the sha256 {found}; expected {wheel.sha256} of {wheel.requirement}: nothing was unpacked"
        )


def unpack(wheel: Wheel, path: Path, target: Path) -> int:
    """Write the wheel's headers below `target`; how many there were."""
    written = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            name = PurePosixPath(entry)
            if name.suffix in (".h", ".hpp") and name.is_relative_to(wheel.headers) and ".." not in name.parts:
                header = target / wheel.target / name.relative_to(wheel.headers)
                header.parent.mkdir(parents=True, exist_ok=True)
                header.write_bytes(archive.read(entry))
                written += 1
    return written


def fetch(target: Path, wheels: Path | None = None) -> bool:
    """Put the headers into `target`, whole or not at all; False where they lie there already.

    Raises
    ------
    DownloadError, HashError
        If a wheel cannot be had, or is not the expected one.
    """
    stamp = "".join(f"{wheel.sha256}  {wheel.requirement}\n" for wheel in WHEELS)
    if (target / STAMP).is_file() and (target / STAMP).read_text(encoding="utf-8") == stamp:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".headers-") as scratch:
        unpacked = Path(scratch) / "headers"
        for number, wheel in enumerate(WHEELS):
            path = find(wheel, wheels) if wheels else None
            path = path or download(wheel, Path(scratch) / str(number))
            check(wheel, path)
            unpack(wheel, path, unpacked)
        (unpacked / STAMP).write_text(stamp, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, default=REPOSITORY / "build" / "headers", help="folder to unpack into")
    parser.add_argument("--wheels", type=Path, help="take wheels from this folder where they lie there")
    parser.add_argument("--optional", action="store_true", help="exit with 0 where a wheel cannot be downloaded")
    arguments = parser.parse_args()

    fetched = fetching.run(
        lambda: fetch(arguments.target, arguments.wheels),
        name="TensorRT headers",
        without="brats_trt is built without its runner of TensorRT engines",
        optional=arguments.optional,
    )
    print(f"TensorRT and CUDA headers {'fetched into' if fetched else 'are in'} {arguments.target}")


if __name__ == "__main__":
    main()
