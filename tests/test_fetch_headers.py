"""The script that fetches headers, with wheels of its own making and no network."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import fetching
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "fetch_headers.py"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("fetch_headers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fetch_headers", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheels(script, monkeypatch, tmp_path):
    """A folder of small wheels under the real names, which the script then expects."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    expected = []
    for wheel in script.WHEELS:
        name, version = wheel.requirement.split("==")
        path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{wheel.headers}/{name}.h", f"// {name}")
            archive.writestr(f"{wheel.headers}/deep/{name}.hpp", "")
            archive.writestr(f"{wheel.headers}/{name}.py", "")
            archive.writestr(f"{wheel.headers}/../outside.h", "")
            archive.writestr("elsewhere/other.h", "")
        expected.append(replace(wheel, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(script, "WHEELS", tuple(expected))
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_headers_are_unpacked(script, wheels, tmp_path):
    target = tmp_path / "build" / "headers"
    assert script.fetch(target, wheels)
    assert files(target) == {
        "SHA256",
        "tensorrt/kernel-lens.h",
        "tensorrt/deep/kernel-lens.hpp",
        "cuda/nvidia-cuda-runtime.h",
        "cuda/deep/nvidia-cuda-runtime.hpp",
        "cuda/nvidia-cuda-crt.h",
        "cuda/deep/nvidia-cuda-crt.hpp",
    }
    assert [path.name for path in target.parent.iterdir()] == ["headers"]


def test_a_second_time_nothing_is_done(script, wheels, tmp_path):
    target = tmp_path / "headers"
    script.fetch(target, wheels)
    (target / "cuda" / "own.h").touch()
    assert not script.fetch(target, tmp_path / "nowhere")
    assert (target / "cuda" / "own.h").exists()


def test_another_hash_is_refused_and_what_lay_there_stays(script, wheels, monkeypatch, tmp_path):
    target = tmp_path / "headers"
    script.fetch(target, wheels)
    before = files(target)
    changed = (replace(script.WHEELS[0], sha256="0" * 64), *script.WHEELS[1:])
    monkeypatch.setattr(script, "WHEELS", changed)
    with pytest.raises(fetching.HashError, match=r"kernel_lens-2.0.1-.* has the sha256 .*; expected 0{64}"):
        script.fetch(target, wheels)
    assert files(target) == before


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--optional"], 0)])
def test_offline_it_says_what_is_built_without(tmp_path, options, status):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--target", tmp_path / "headers", *options],
        env={"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert "no TensorRT headers: kernel-lens==2.0.1 cannot be downloaded" in done.stdout
    assert "built without its runner of TensorRT engines" in done.stdout
    assert not (tmp_path / "headers").exists()
