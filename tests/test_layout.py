"""What the package promises about itself: its layers, its imports, its types."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir

import pytest

import brats_trt

PACKAGE = Path(brats_trt.__file__).parent

# A module may import what stands before its own layer, and its own package.
LAYERS = [
    ("errors",),
    ("spec", "geometry", "notice", "files", "device_array", "signal_stack", "stopwatch", "_host", "_tensorrt"),
    ("nifti_content", "metrics", "case_folder", "confidence"),
    ("nifti", "volume"),
    ("resampling",),
    ("case", "kernels", "exam"),
    ("backends",),
    ("plans",),
    ("records", "strip"),
    ("backend_choice", "segmentation", "raw"),
    ("nifti_writer", "pipeline", "inspection"),
    ("segmenter", "export"),
    ("pictures", "measures"),
    ("report", "demo"),
    ("bench", "evaluation"),
    ("serve",),
    ("cli",),
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir(), **options
    ).stdout


def imported_layers(path):
    """The top-level names of the package that a file imports when it is imported itself."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        if node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE or path.stem != "__init__"]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_earlier_layers(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imported_layers(path):
        if other != "__version__":
            assert RANK[other] < RANK[own] or other == own


def test_the_layers_name_every_module():
    top = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert top <= set(RANK)


def test_import_takes_no_heavy_package():
    heavy = (
        "{'onnx', 'openvino', 'cc3d', 'scipy', 'PIL', 'typer', 'rich', 'pydicom', 'cupy', 'tensorrt', 'tensorrt_rtx'}"
    )
    assert run(f"import sys, brats_trt; print(sorted({heavy} & set(sys.modules)))").strip() == "[]"


def test_openvino_is_imported_without_its_telemetry(tmp_path):
    code = (
        "import sys; from brats_trt.backends.openvino import import_openvino; import_openvino();"
        "print('openvino' in sys.modules, [n for n in sys.modules if n.startswith('openvino_telemetry')])"
    )
    assert run(code, env={"HOME": str(tmp_path), "PATH": ""}).strip() == "True []"
    assert not list(tmp_path.iterdir()), "nothing is written to the home folder"


def test_only_one_module_imports_openvino():
    imports = re.compile(r"^\s*(import|from) openvino|import_module\(.openvino", re.MULTILINE)
    assert [path.name for path in modules() if imports.search(path.read_text())] == ["openvino.py"]


def test_only_one_module_imports_cupy():
    imports = re.compile(r"^\s*(import|from) cupy|import_module\(.cupy", re.MULTILINE)
    assert [path.name for path in modules() if imports.search(path.read_text())] == ["cupy_device.py"]


def test_only_one_module_imports_tensorrt():
    imports = re.compile(r"^\s*(import|from) tensorrt|import_module\(.tensorrt|import_module\(_MODULES", re.MULTILINE)
    assert [path.name for path in modules() if imports.search(path.read_text())] == ["flavour.py"]


def test_only_one_module_imports_pydicom():
    imports = re.compile(r"^\s*(import|from) (pydicom|gdcm)|import_module\(name", re.MULTILINE)
    assert [path.name for path in modules() if imports.search(path.read_text())] == ["pydicom_access.py"]


def test_the_package_is_typed_and_versioned():
    assert (PACKAGE / "py.typed").exists()
    assert brats_trt.__version__ == version("brats-trt")


def test_importing_the_source_folder_says_what_to_do(tmp_path):
    source = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", "import brats_trt"], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install" in done.stderr
