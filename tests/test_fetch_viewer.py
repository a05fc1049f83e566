"""The script that fetches the viewer, with packages of its own making and no network."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from brats_trt.report import viewer

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "fetch_viewer.py"
CONTENT = b"// a viewer"


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location("fetch_viewer", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fetch_viewer", module)
    spec.loader.exec_module(module)
    return module


def package(path, name, content):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def expected(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return package(tmp_path / "niivue.tgz", script.MEMBER, CONTENT)


def test_the_viewer_is_written_once_and_the_same_each_time(script, expected, tmp_path):
    target, again = tmp_path / "build" / "a.gz", tmp_path / "b.gz"
    assert script.fetch(target, expected)
    assert not script.fetch(target, expected)
    assert script.fetch(again, expected)
    assert gzip.decompress(target.read_bytes()) == CONTENT
    assert target.read_bytes() == again.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["a.gz"]


def test_a_damaged_file_is_fetched_again(script, expected, tmp_path):
    target = tmp_path / "a.gz"
    for content in (b"", b"no gzip", gzip.compress(b"another viewer"), gzip.compress(CONTENT)[:-3]):
        target.write_bytes(content)
        assert script.fetch(target, expected)
        assert gzip.decompress(target.read_bytes()) == CONTENT


@pytest.mark.parametrize("name", ["package/dist/niivue.umd.js", "package/other.js"])
def test_another_file_than_the_expected_one_is_refused_and_nothing_written(script, tmp_path, name):
    target = tmp_path / "build" / "a.gz"
    with pytest.raises(script.HashError, match="nothing was written"):
        script.fetch(target, package(tmp_path / "other.tgz", name, b"malice"))
    assert list(target.parent.iterdir()) == []


def test_without_npm_the_script_says_what_is_missing_and_fails_unless_optional(tmp_path):
    command = [sys.executable, str(SCRIPT), "--target", str(tmp_path / "a.gz")]
    for options, code in (([], 1), (["--optional"], 0)):
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, env={"PATH": ""})
        assert done.returncode == code
        assert "npm, which downloads" in done.stdout


def test_a_download_that_fails_gives_npms_last_words(script, monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho first >&2\necho 'npm error 404' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(script.shutil, "which", lambda name: str(npm))
    with pytest.raises(script.DownloadError, match="npm error 404"):
        script.fetch(tmp_path / "build" / "a.gz")


def test_package_build_and_licence_name_one_version(script):
    assert script.VERSION == viewer.VERSION
    assert script.TARGET.name == viewer.FILE
    assert script.TARGET.relative_to(ROOT).as_posix() in (ROOT / "CMakeLists.txt").read_text()
    assert f"NiiVue {viewer.VERSION}," in viewer.viewer_licence()
    assert f"NiiVue {viewer.VERSION}" in (ROOT / "THIRD_PARTY_NOTICES.md").read_text()
