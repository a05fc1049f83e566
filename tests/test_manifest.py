from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import pytest
from plan_files import HERE, make_plan

from brats_trt import CaseError, EngineError, Spec
from brats_trt.plans.manifest import (
    PORTABLE,
    DeviceRecord,
    Golden,
    OnnxRecord,
    PlanRecord,
    RuntimeIdentity,
    RuntimeRecord,
    check_manifest,
    manifest_path,
    now,
    read_manifest,
    write_manifest,
)
from brats_trt.plans.recipe import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "manifest.md"


@pytest.fixture
def plan(tmp_path):
    return tmp_path / "demo.plan"


def leaves(document, where=()):
    """The path of every field that is no object; what lies in the audit or a list is the field's own value."""
    for name, value in document.items():
        if isinstance(value, dict) and name != "audit":
            yield from leaves(value, (*where, name))
        else:
            yield (*where, name)


def objects(document, where=()):
    yield where
    for name, value in document.items():
        if isinstance(value, dict) and name != "audit":
            yield from objects(value, (*where, name))


def sample(folder):
    make_plan(folder / "sample.plan")
    return json.loads((folder / "sample.plan.json").read_text())


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return sample(tmp_path_factory.mktemp("sample"))


def refusal(plan, document):
    """What is said of a document; one line that names the file and what to do."""
    manifest_path(plan).write_text(document if isinstance(document, str) else json.dumps(document))
    with pytest.raises(EngineError) as caught:
        read_manifest(plan)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{manifest_path(plan)}: ")
    assert "`brats-trt build" in text
    return text


def changed(document, path, change):
    document = copy.deepcopy(document)
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    change(inner, path[-1])
    return document


def of_another_type(value):
    return {"an": "object"} if not isinstance(value, dict) else 17


# ------------------------------------------------------------------------------------------------ written and read


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"audit": None},
        {"recipe": Recipe(hardware_compatible="ampere_plus", scale="as_is", version_compatible=True)},
        {"recipe": Recipe(precision="fp32", capabilities=("8.9", "12.0"), stripped=True, refittable=True)},
        {"device": DeviceRecord(PORTABLE, ("8.6", "8.9", "12.0"))},
        {"spec": Spec(("flair", "t1", "t1ce", "t2"), "card")},
        {"command": "brats-trt build 'a [\\n  1,\\n 2] \"é\".onnx' -o b"},
    ],
    ids=lambda changes: ", ".join(changes) or "plain",
)
def test_a_manifest_comes_back_as_it_was_written(plan, changes):
    written = make_plan(plan, **changes)
    found = read_manifest(plan)
    assert found == written
    assert hash(found.recipe) == hash(written.recipe), "lists came back as tuples"
    write_manifest(plan, found)
    assert read_manifest(plan) == written


def test_the_file_says_that_it_is_for_research_only(plan):
    make_plan(plan)
    text = manifest_path(plan).read_text()
    assert list(json.loads(text))[:2] == ["schema", "notice"]
    assert "Research use only, not a medical device." in text


def test_the_manifest_lies_beside_the_plan(tmp_path):
    assert manifest_path(tmp_path / "demo.plan") == tmp_path / "demo.plan.json"
    assert manifest_path(Path("demo")) == Path("demo.json")


def test_a_manifest_of_now_is_read(plan):
    make_plan(plan, created=now())
    assert read_manifest(plan).created.endswith("Z")


def test_a_manifest_that_cannot_be_written_is_refused(tmp_path, plan):
    manifest = make_plan(plan)
    with pytest.raises(CaseError, match="cannot be written"):
        write_manifest(tmp_path / "nowhere" / "demo.plan", manifest)


def test_reading_and_checking_import_no_engine():
    code = (
        "import sys, brats_trt.plans.manifest, brats_trt.plans.golden, brats_trt.plans.cache;"
        "print({'tensorrt', 'tensorrt_rtx', 'onnx', 'openvino', 'cupy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir())
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------------------------------------- fields that are wrong


def test_a_missing_field_is_named(plan, document):
    for path in leaves(document):
        text = refusal(plan, changed(document, path, lambda inner, name: inner.pop(name)))
        assert f"field '{'.'.join(path)}' is missing" in text or path == ("schema",)


def test_a_missing_object_is_named(plan, document):
    for path in filter(None, objects(document)):
        text = refusal(plan, changed(document, path, lambda inner, name: inner.pop(name)))
        assert f"field '{'.'.join(path)}' is missing" in text


def test_an_unknown_field_is_named(plan, document):
    for path in objects(document):
        text = refusal(plan, changed(document, (*path, "surplus"), lambda inner, name: inner.update({name: 1})))
        assert f"field '{'.'.join((*path, 'surplus'))}' is not known" in text


def test_a_field_of_another_type_is_named(plan, document):
    for path in leaves(document):
        if path == ("audit",):
            continue
        text = refusal(
            plan, changed(document, path, lambda inner, name: inner.update({name: of_another_type(inner[name])}))
        )
        assert f"field '{'.'.join(path)}'" in text
        assert "expected" in text or path == ("schema",)


def test_true_is_no_number_and_a_number_is_not_true(plan, document):
    for path, value in ((("plan", "nbytes"), True), (("golden", "tolerance"), False), (("golden", "seed"), 1.5)):
        text = refusal(plan, changed(document, path, lambda inner, name, value=value: inner.update({name: value})))
        assert f"field '{'.'.join(path)}' is {value}" in text
    text = refusal(plan, changed(document, ("recipe", "stripped"), lambda inner, name: inner.update({name: 1})))
    assert "field 'recipe.stripped' is 1; expected true or false" in text


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("onnx", "sha256"), "xyz", "field 'onnx' does not fit: sha256 is 'xyz'; expected 64 hexadecimal digits"),
        (("plan", "sha256"), "A" * 64, "field 'plan' does not fit"),
        (("plan", "nbytes"), "6", "field 'plan.nbytes' is '6'; expected an integer"),
        (("runtime", "flavour"), "tensorflow", "field 'runtime.flavour' is 'tensorflow'; expected one of"),
        (("runtime", "version"), "ten", "version is 'ten'"),
        (("device", "compute_capabilities"), [], "0 compute capabilities"),
        (("device", "compute_capabilities"), ["8.9", "9.0"], "expected one, or several for 'portable'"),
        (("device", "compute_capabilities"), ["sm_89"], "'sm_89'"),
        (("tensors", "input", "dtype"), "int8", "field 'tensors.input.dtype' is 'int8'"),
        (("tensors", "output", "shape"), [1, 4, 16, 16], "field 'tensors.output.shape' has 4 entries; expected 5"),
        (("tensors", "input", "shape"), [1, 4, "a", 16, 16], "field 'tensors.input.shape[2]' is 'a'"),
        (("recipe", "precision"), "int8", "field 'recipe.precision'"),
        (("recipe", "optimisation_level"), 9, "field 'recipe' does not fit: optimisation level 9"),
        (("spec", "modalities"), ["t1", "t1", "t2", "flair"], "field 'spec' does not fit"),
        (("spec", "normalisation"), "none", "field 'spec.normalisation'"),
        (("golden", "counts"), [[1, 2, 3, 4]] * 7, "counts of 7 octants; expected 8"),
        (("golden", "counts"), [[0, 0, 0, 0]] * 8, "not all 0"),
        (("golden", "counts"), [[-1, 2, 3, 4]] * 8, "counts of -1 to 4 voxels"),
        (("golden", "counts"), [[1, 2, 3]] * 8, "field 'golden.counts[0]' has 3 entries; expected 4"),
        (("golden", "tolerance"), 1.5, "tolerance is 1.5"),
        (("golden", "tolerance"), float("nan"), "tolerance is nan"),
        (("golden", "modalities"), ["t1", "t2", "t1ce", "dwi"], "field 'golden.modalities[3]' is 'dwi'"),
        (("created",), "yesterday", "created is 'yesterday'; expected a time such as"),
        (("schema",), 2, "field 'schema' is 2; this version of brats_trt reads 1"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else None,
)
def test_a_value_that_cannot_be_is_refused(plan, document, path, value, said):
    assert said in refusal(plan, changed(document, path, lambda inner, name: inner.update({name: value})))


def test_another_schema_is_told_before_its_other_fields(plan):
    assert "field 'schema' is 7" in refusal(plan, {"schema": 7, "surplus": 1})


@pytest.mark.parametrize("text", ["", "{", "plan", "\x00\xff", '{"schema": 1' + "1" * 5000 + "}", "[" * 100_000])
def test_a_file_that_is_no_json_is_refused(plan, text):
    assert "is not JSON" in refusal(plan, text)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"text"'])
def test_json_that_is_no_object_is_refused(plan, text):
    assert "the document is no object" in refusal(plan, text)


def test_a_plan_without_manifest_is_refused(plan):
    plan.write_bytes(b"a plan")
    with pytest.raises(EngineError, match=r"demo\.plan\.json: the plan's manifest cannot be read \(No such file"):
        read_manifest(plan)


# --------------------------------------------------------------------------------------- compared with what is here

OTHER = "f" * 64


def with_plan(**changes):
    return lambda manifest: replace(manifest, plan=replace(manifest.plan, **changes))


def with_runtime(**changes):
    return lambda manifest: replace(manifest, runtime=replace(manifest.runtime, **changes))


# One change of the manifest, or of what is here, each; then both sides as the message has them.
MISMATCHES = {
    "plan sha256": (with_plan(sha256=OTHER), {}, None, ["the plan's sha256 is", OTHER]),
    "plan size": (with_plan(nbytes=7), {}, None, ["has 6 bytes", "says 7"]),
    "flavour": (with_runtime(flavour="tensorrt-rtx"), {}, None, ["one of tensorrt-rtx", "here is tensorrt"]),
    "runtime version": (with_runtime(version="10.14.1.48"), {}, None, ["10.14.1.48", "here is 10.16.1.11"]),
    "version here": (None, {"version": "11.4.0"}, None, ["10.16.1.11", "here is 11.4.0"]),
    "capability": (None, {"compute_capability": (9, 0), "device_name": "H100"}, None, ["8.9", "H100", "9.0"]),
    "portable list": (
        lambda manifest: replace(manifest, device=DeviceRecord(PORTABLE, ("8.6", "12.0"))),
        {},
        None,
        ["portable", "8.6, 12.0", "NVIDIA L4", "8.9"],
    ),
    "model": (None, {}, OTHER, ["demo.onnx of sha256 0123456789abcdef", OTHER]),
}


@pytest.mark.parametrize(("change", "here", "onnx", "said"), MISMATCHES.values(), ids=MISMATCHES)
def test_each_mismatch_names_both_sides_and_the_command(plan, change, here, onnx, said):
    manifest = make_plan(plan)
    check_manifest(manifest, plan, HERE, onnx_sha256=manifest.onnx.sha256)
    write_manifest(plan, change(manifest) if change else manifest)
    with pytest.raises(EngineError) as caught:
        check_manifest(read_manifest(plan), plan, replace(HERE, **here), onnx_sha256=onnx)
    text = str(caught.value)
    assert text.startswith(f"{plan}: ")
    assert text.endswith(f"build it again: `{manifest.command}`")
    assert "\n" not in text
    for part in said:
        assert part in text


def test_mismatches_are_told_in_the_order_of_plan_flavour_version_device_model(plan):
    right = make_plan(plan)
    wrong = replace(
        right,
        onnx=OnnxRecord("demo.onnx", OTHER),
        plan=PlanRecord(OTHER, right.plan.nbytes),
        runtime=RuntimeRecord("tensorrt-rtx", "1.7.1"),
        device=DeviceRecord("other", ("7.5",)),
    )
    repairs = [
        ("sha256 is", {"plan": right.plan}),
        ("one of tensorrt-rtx", {"runtime": RuntimeRecord("tensorrt", "10.14.0")}),
        ("built by tensorrt 10.14.0", {"runtime": right.runtime}),
        ("built for other", {"device": right.device}),
        ("built from demo.onnx", {"onnx": right.onnx}),
    ]
    for said, repair in repairs:
        with pytest.raises(EngineError, match=said):
            check_manifest(wrong, plan, HERE, onnx_sha256=right.onnx.sha256)
        wrong = replace(wrong, **repair)
    check_manifest(wrong, plan, HERE, onnx_sha256=right.onnx.sha256)


def test_a_changed_byte_of_the_plan_is_seen(plan):
    manifest = make_plan(plan, content=bytes(3_000_000))
    with plan.open("r+b") as file:
        file.seek(2_999_999)
        file.write(b"\x01")
    with pytest.raises(EngineError, match="the plan's sha256 is"):
        check_manifest(manifest, plan, HERE)


def test_a_manifest_without_its_plan_is_refused(plan):
    manifest = make_plan(plan)
    plan.unlink()
    with pytest.raises(EngineError, match=r"cannot be read \(No such file or directory\).*build it again"):
        check_manifest(manifest, plan, HERE)


@pytest.mark.parametrize(
    ("flavour", "built", "here", "compatible", "fits"),
    [
        ("tensorrt", "10.16.1.11", "10.16.1.11", False, True),
        ("tensorrt", "10.16.1.11", "10.16.1", False, True),  # a library tells no build number
        ("tensorrt", "10.16.1.11", "10.16.1.12", False, True),
        ("tensorrt", "10.16.1.11", "10.16.0", False, False),
        ("tensorrt", "10.16.1.11", "10.17.1", False, False),
        ("tensorrt", "10.16.1.11", "10.17.0", True, True),
        ("tensorrt", "10.16.1.11", "10.16.1", True, True),
        ("tensorrt", "10.9.0.34", "10.14.1", True, True),  # numbers, not text
        ("tensorrt", "10.16.1.11", "10.16.0", True, False),
        ("tensorrt", "10.16.1.11", "10.14.1", True, False),
        ("tensorrt", "10.16.1.11", "11.4.0", True, False),
        ("tensorrt-rtx", "1.7.1", "1.7.1", False, True),
        ("tensorrt-rtx", "1.7.1.5", "1.7.0", False, True),
        ("tensorrt-rtx", "1.7.1", "1.8.1", False, False),
        ("tensorrt-rtx", "1.7.1", "2.7.1", False, False),
    ],
)
def test_versions_that_a_plan_runs_in(plan, flavour, built, here, compatible, fits):
    manifest = make_plan(plan, runtime=RuntimeRecord(flavour, built), recipe=Recipe(version_compatible=compatible))
    runtime = RuntimeIdentity(flavour, here, "NVIDIA L4", (8, 9))
    if fits:
        check_manifest(manifest, plan, runtime)
    else:
        with pytest.raises(EngineError, match=f"built by {flavour} {re.escape(built)} .* here is {re.escape(here)}"):
            check_manifest(manifest, plan, runtime)


@pytest.mark.parametrize(
    ("device", "level", "here", "fits"),
    [
        (DeviceRecord("A100", ("8.0",)), None, (8, 0), True),
        (DeviceRecord("A100", ("8.0",)), None, (8, 6), False),
        (DeviceRecord("A100", ("8.0",)), "ampere_plus", (8, 6), True),
        (DeviceRecord("A100", ("8.0",)), "ampere_plus", (12, 0), True),
        (DeviceRecord("A100", ("8.0",)), "ampere_plus", (7, 5), False),
        (DeviceRecord("A100", ("8.0",)), "same_compute_capability", (8, 0), True),
        (DeviceRecord("A100", ("8.0",)), "same_compute_capability", (8, 6), False),
        (DeviceRecord(PORTABLE, ("8.6", "8.9", "12.0")), None, (12, 0), True),
        (DeviceRecord(PORTABLE, ("8.6", "8.9", "12.0")), None, (9, 0), False),
    ],
)
def test_devices_that_a_plan_runs_on(plan, device, level, here, fits):
    manifest = make_plan(plan, device=device, recipe=Recipe(hardware_compatible=level))
    runtime = replace(HERE, device_name="the GPU here", compute_capability=here)
    if fits:
        check_manifest(manifest, plan, runtime)
    else:
        with pytest.raises(EngineError, match=rf"built for {device.name} .*the GPU here .*{here[0]}\.{here[1]}"):
            check_manifest(manifest, plan, runtime)


# -------------------------------------------------------------------------------------------------------- documented


def test_the_page_names_every_field_of_a_written_manifest_and_no_other(document):
    rows = re.findall(r"^\| `([a-z0-9_.]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(".".join(path) for path in leaves(document))
    assert len(rows) == len(set(rows))


def test_a_golden_record_refuses_modalities_that_are_not_four():
    with pytest.raises(EngineError, match="modalities"):
        Golden(0, ("t1", "t2"), ((1, 2, 3, 4),) * 8, 0.1)
