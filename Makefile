# The two commands of the README, and their slower kin. Each builds its own virtual environment.
PYTHON ?= python3
VENV := .venv
# Processes that run tests side by side, a file in one of them.
WORKERS ?= 2

.PHONY: demo test test-slow lint model clean

demo: $(VENV)/.installed
	$(VENV)/bin/brats-trt demo -o demo-output

test: $(VENV)/.installed-test
	$(VENV)/bin/pytest -n $(WORKERS) --dist loadfile

test-slow: $(VENV)/.installed-test
	$(VENV)/bin/pytest -m slow

lint: $(VENV)/.installed-lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest --allowlist .stubtest-allow --ignore-unused-allowlist --mypy-config-file pyproject.toml \
	  brats_trt._host $$($(VENV)/bin/python -I -c $(IF_BUILT))
	$(VENV)/bin/clang-format --dry-run --Werror $$(find csrc brats_trt/kernels -name '*.?pp' -o -name '*.cu*')

# The demo's model from nothing: hours, about 8 GB of disk. Stopped at any moment, the same command goes on.
# TORCH names the PyTorch to install; the CPU's build is enough.
TORCH ?= torch
MODEL_OUTPUT ?= training-output
model: $(VENV)/.installed-train
	$(VENV)/bin/python training/train.py --recipe demo -o $(MODEL_OUTPUT)
	$(VENV)/bin/python training/export.py $(MODEL_OUTPUT)/checkpoint.pt -o $(MODEL_OUTPUT) --name demo-uncalibrated
	$(VENV)/bin/python training/calibrate.py $(MODEL_OUTPUT)/demo-uncalibrated.onnx -o $(MODEL_OUTPUT)/demo.onnx
	$(VENV)/bin/python training/judge.py $(MODEL_OUTPUT)/demo.onnx -o $(MODEL_OUTPUT)

# The runner of TensorRT engines, where it was built.
IF_BUILT := "from importlib.util import find_spec; print('brats_trt._tensorrt' if find_spec('brats_trt._tensorrt') else '')"

# What an installation depends on: a change in any of it installs the package again.
SOURCES := pyproject.toml CMakeLists.txt $(shell find brats_trt csrc cmake engines scripts/fetching.py scripts/fetch_headers.py scripts/fetch_viewer.py -type f -not -name '*.pyc')

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/pip $(SOURCES)
	$(VENV)/bin/python scripts/fetch_headers.py --optional
	$(VENV)/bin/python scripts/fetch_viewer.py --optional
	$(VENV)/bin/pip install --quiet .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(VENV)/bin/pip install --quiet '.[test]'
	touch $@

$(VENV)/.installed-lint: $(VENV)/.installed-test
	$(VENV)/bin/pip install --quiet '.[lint]'
	touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	$(VENV)/bin/pip install --quiet '$(TORCH)'
	$(VENV)/bin/pip install --quiet '.[train]'
	touch $@

clean:
	rm -rf $(VENV) build demo-output
