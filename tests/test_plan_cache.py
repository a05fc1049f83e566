from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from models import tiny_model
from plan_files import HERE, make_plan

from brats_trt import CaseError, EngineError, Spec
from brats_trt.backends.model import read_model
from brats_trt.plans import cache
from brats_trt.plans.cache import VARIABLE, PlanWarning, cache_folder, cached_plan, kernels_file
from brats_trt.plans.manifest import manifest_path, read_manifest
from brats_trt.plans.recipe import Recipe

PATIENCE_S = 60

# A process that asks the cache for a plan. Arguments: model, cache, a folder for marks, its name and what it does while
# it builds: "wait" for the other to be on its way, or "hang" with half a plan until it is killed.
ASK = """
import os, sys, time
from pathlib import Path
from plan_files import HERE, make_plan
from brats_trt.backends.model import read_model
from brats_trt.plans.cache import cached_plan
from brats_trt.plans.recipe import Recipe

model, folder, marks, name, manner = *map(Path, sys.argv[1:4]), *sys.argv[4:]
model = read_model(model)

def build(plan):
    (marks / f"built by {name}").touch()
    if manner == "hang":
        plan.write_bytes(b"half a pl")
        (marks / "half").touch()
        time.sleep(600)
    while len(list(marks.glob("asks *"))) < 2:
        time.sleep(0.01)
    time.sleep(0.3)
    make_plan(plan)

(marks / f"asks {name}").touch()
print(cached_plan(model, HERE, Recipe(), build, folder=folder))
"""


@pytest.fixture
def model(tmp_path):
    return read_model(tiny_model(tmp_path / "tiny.onnx"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


class Builder:
    """Makes plans and counts them."""

    def __init__(self):
        self.paths = []

    def __call__(self, plan):
        self.paths.append(plan)
        make_plan(plan)


def start(model, folder, marks, name, manner="wait"):
    marks.mkdir(exist_ok=True)
    words = [sys.executable, "-c", ASK, model.path, folder, marks, name, manner]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=marks
    )


def wait_for(path, process):
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.01)


def test_a_plan_is_built_once_and_then_kept(model, folder):
    build = Builder()
    first, second = (cached_plan(model, HERE, Recipe(), build, folder=folder) for _ in range(2))
    assert first == second
    assert len(build.paths) == 1
    assert first.name == "tiny.plan"
    assert first.read_bytes() == b"a plan"
    assert read_manifest(first)


def test_the_command_names_the_plan_where_it_lies(model, folder):
    build = Builder()
    plan = cached_plan(model, HERE, Recipe(), build, folder=folder)
    assert build.paths[0] != plan
    assert read_manifest(plan).command == f"brats-trt build demo.onnx -o {plan} --overwrite"


@pytest.mark.parametrize(
    "other",
    [
        {"identity": replace(HERE, flavour="tensorrt-rtx")},
        {"identity": replace(HERE, version="10.16.1.12")},
        {"identity": replace(HERE, device_name="NVIDIA L40S")},
        {"identity": replace(HERE, compute_capability=(9, 0))},
        {"recipe": Recipe(precision="fp32")},
        {"recipe": Recipe(scale="as_is")},
        {"spec": Spec(("flair", "t1", "t1ce", "t2"))},
        {"sha256": "f" * 64},
    ],
    ids=str,
)
def test_plans_of_other_models_libraries_devices_and_recipes_lie_side_by_side(model, folder, other):
    build = Builder()
    wanted = {"identity": HERE, "recipe": Recipe()}
    known = {name: value for name, value in other.items() if name in ("spec", "sha256")}
    asked = {**wanted, **{name: value for name, value in other.items() if name in wanted}}
    first = cached_plan(model, *wanted.values(), build, folder=folder)
    second = cached_plan(replace(model, **known), *asked.values(), build, folder=folder)
    assert first != second
    assert cached_plan(model, *wanted.values(), build, folder=folder) == first
    assert len(build.paths) == 2


def test_two_processes_build_once(model, folder, tmp_path):
    marks = tmp_path / "marks"
    asking = [start(model, folder, marks, name) for name in ("one", "two")]
    said = [process.communicate(timeout=PATIENCE_S) for process in asking]
    assert [process.returncode for process in asking] == [0, 0], said
    assert len(list(marks.glob("built by *"))) == 1
    assert said[0][0] == said[1][0]
    assert Path(said[0][0].strip()).read_bytes() == b"a plan"


def test_two_threads_build_once(model, folder):
    build, found, both = Builder(), [], threading.Barrier(2)

    def ask():
        both.wait()
        found.append(cached_plan(model, HERE, Recipe(), build, folder=folder))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(build.paths) == 1
    assert found[0] == found[1]


def test_a_process_killed_while_it_builds_leaves_no_plan_and_no_lock(model, folder, tmp_path):
    marks = tmp_path / "marks"
    killed = start(model, folder, marks, "killed", "hang")
    wait_for(marks / "half", killed)
    waiting = start(model, folder, marks, "waiting")
    wait_for(marks / "asks waiting", waiting)
    assert not list(folder.glob("[!.]*")), "nothing under a plan's name yet"
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=PATIENCE_S)
    out, err = waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 0, err
    assert (marks / "built by waiting").exists()
    assert Path(out.strip()).read_bytes() == b"a plan"
    assert not list(folder.glob(".*.building"))


@pytest.mark.parametrize("fault", [EngineError("no kernel"), KeyboardInterrupt(), CaseError("disk full")], ids=repr)
def test_a_build_that_fails_leaves_nothing_and_the_next_one_builds(model, folder, fault):
    def fail(plan):
        plan.write_bytes(b"half a pl")
        raise fault

    with pytest.raises(type(fault)):
        cached_plan(model, HERE, Recipe(), fail, folder=folder)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert cached_plan(model, HERE, Recipe(), Builder(), folder=folder).exists()


def test_a_build_that_leaves_no_plan_is_refused(model, folder):
    with pytest.raises(EngineError, match=r"manifest cannot be read"):
        cached_plan(model, HERE, Recipe(), lambda plan: None, folder=folder)

    def unlike(plan):
        make_plan(plan)
        plan.write_bytes(b"b plan")

    with pytest.raises(EngineError, match="the plan's sha256 is"):
        cached_plan(model, HERE, Recipe(), unlike, folder=folder)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def spoil_a_byte(plan):
    plan.write_bytes(b"b plan")


def cut(plan):
    plan.write_bytes(b"a p")


def spoil_the_manifest(plan):
    manifest_path(plan).write_text("{")


def take_the_manifest(plan):
    manifest_path(plan).unlink()


def take_the_plan(plan):
    plan.unlink()


@pytest.mark.parametrize("damage", [spoil_a_byte, cut, spoil_the_manifest, take_the_manifest, take_the_plan])
def test_a_damaged_plan_is_built_again_with_a_warning(model, folder, damage):
    build = Builder()
    plan = cached_plan(model, HERE, Recipe(), build, folder=folder)
    damage(plan)
    with pytest.warns(PlanWarning, match="damaged and is built again"):
        assert cached_plan(model, HERE, Recipe(), build, folder=folder) == plan
    assert len(build.paths) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cached_plan(model, HERE, Recipe(), build, folder=folder)
    assert plan.read_bytes() == b"a plan"


def test_a_cache_that_cannot_be_written_names_the_variable(model, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    for folder in (blocked, blocked / "below"):
        with pytest.raises(EngineError, match=rf"cannot be written \(.*\): set {VARIABLE} to a folder") as caught:
            cached_plan(model, HERE, Recipe(), Builder(), folder=folder)
        assert str(caught.value).startswith(f"{folder}: ")
        assert "\n" not in str(caught.value)


def test_a_read_only_cache_gives_what_it_has_and_refuses_to_build(model, folder, monkeypatch):
    plan = cached_plan(model, HERE, Recipe(), Builder(), folder=folder)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.os, "open", denied)
    assert cached_plan(model, HERE, Recipe(), Builder(), folder=folder) == plan
    with pytest.raises(EngineError, match=rf"cannot be written \(Permission denied\): set {VARIABLE}"):
        cached_plan(model, HERE, Recipe(precision="fp32"), Builder(), folder=folder)


def test_an_error_of_the_build_is_not_called_one_of_the_cache(model, folder):
    def fail(plan):
        raise OSError(5, "of the GPU's driver")

    with pytest.raises(OSError, match="of the GPU's driver"):
        cached_plan(model, HERE, Recipe(), fail, folder=folder)


def test_the_folder_is_the_users_own_then_the_desktops_then_the_homes(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv(VARIABLE, "")
    assert cache_folder() == tmp_path / "xdg" / "brats_trt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "brats_trt"


def test_the_default_folder_is_used(model, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    assert cached_plan(model, HERE, Recipe(), Builder()).is_relative_to(tmp_path / "own")


def test_kernels_have_a_file_for_each_plan_gpu_and_version(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    manifest, other = (make_plan(tmp_path / name, content=name.encode()) for name in ("a.plan", "b.plan"))
    identities = (HERE, replace(HERE, version="10.16.2.1"), replace(HERE, compute_capability=(9, 0)))
    files = {kernels_file(manifest, identity) for identity in identities} | {kernels_file(other, HERE)}
    assert len(files) == 4
    assert {file.parent for file in files} == {tmp_path / "kernels"}
