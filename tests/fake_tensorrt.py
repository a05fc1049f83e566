"""Stand-ins for `tensorrt` 10, `tensorrt` 11 and `tensorrt_rtx`: their Python interface as far as brats_trt calls it.

They build nothing: a "plan" is a JSON text of what the builder was told, so that a test can read it; running one is
noted in the module's `calls`. What differs between the releases differs here: release 10 makes weakly typed networks
unless told otherwise, release 11 has no STRONGLY_TYPED, RTX has compute capabilities.
"""

from __future__ import annotations

import json
import sys
import threading
from enum import Enum, IntEnum
from types import ModuleType, SimpleNamespace

import onnx
from fake_runtime import CudaGraphStrategy, DataType, Runtime, Severity, TensorIOMode


class LayerType(Enum):
    CONVOLUTION = 0
    DECONVOLUTION = 1
    CAST = 2
    OTHER = 3


class BuilderFlag(IntEnum):
    REFIT = 1
    VERSION_COMPATIBLE = 2
    STRIP_PLAN = 3


class HardwareCompatibilityLevel(Enum):
    NONE = 0
    AMPERE_PLUS = 1
    SAME_COMPUTE_CAPABILITY = 2


class ComputeCapability(Enum):
    NONE = 0
    CURRENT = 1
    SM75 = 75
    SM80 = 80
    SM89 = 89
    SM120 = 120


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO = Severity

    def __init__(self):
        self.ready = True


class IProgressMonitor:
    def __init__(self):
        self.ready = True


class Tensor:
    def __init__(self, value):
        self.name = value.name
        kind = value.type.tensor_type.elem_type
        self.dtype = DataType.HALF if kind == onnx.TensorProto.FLOAT16 else DataType.FLOAT
        self.shape = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)


class Network:
    def __init__(self, module, flags):
        self.module = module
        self.flags = flags
        self.layers, self.inputs, self.outputs = [], [], []
        self.num_layers = self.num_inputs = self.num_outputs = 0

    @property
    def strongly_typed(self):
        flag = getattr(self.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        return flag is None or bool(self.flags & (1 << flag))

    def fill(self, graph):
        weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
        self.inputs, self.outputs = [Tensor(value) for value in graph.input], [Tensor(value) for value in graph.output]
        types = {"Conv": LayerType.CONVOLUTION, "ConvTranspose": LayerType.DECONVOLUTION, "Cast": LayerType.CAST}
        for node in graph.node:
            wide = not any(weights.get(name) == onnx.TensorProto.FLOAT16 for name in node.input)
            output = SimpleNamespace(dtype=DataType.FLOAT if wide else DataType.HALF)
            layer = SimpleNamespace(name=node.name, type=types.get(node.op_type, LayerType.OTHER))
            layer.get_output = lambda index, output=output: output
            self.layers.append(layer)
        self.num_layers, self.num_inputs, self.num_outputs = map(len, (self.layers, self.inputs, self.outputs))

    def get_layer(self, index):
        return self.layers[index]

    def get_input(self, index):
        return self.inputs[index]

    def get_output(self, index):
        return self.outputs[index]


class ParserError:
    def __init__(self, node, text):
        self._node, self._text = node, text

    def desc(self):
        return self._text

    def node_name(self):
        return self._node.name

    def node_operator(self):
        return self._node.op_type


class OnnxParser:
    """Knows every operator but those whose name begins with `Odd`."""

    def __init__(self, network, logger):
        self.network, self.errors, self.num_errors = network, [], 0

    def parse(self, content):
        graph = onnx.load_model_from_string(content).graph
        odd = [node for node in graph.node if node.op_type.startswith("Odd")]
        self.errors = [ParserError(node, "no importer\nfor this") for node in odd]
        self.num_errors = len(odd)
        self.network.fill(graph)
        return not odd

    def get_error(self, index):
        return self.errors[index]


class Config:
    def __init__(self, module):
        self.module = module
        self.builder_optimization_level = 3
        self.hardware_compatibility_level = HardwareCompatibilityLevel.NONE
        self.progress_monitor = None
        self.flags = set()
        self.workspace_was_capped = False
        if hasattr(module, "ComputeCapability"):
            self.num_compute_capabilities = 0
            self.targets = {}
            self.set_compute_capability = self._set_compute_capability

    def set_flag(self, flag):
        if flag not in self.module.refused_flags:
            self.flags.add(flag)

    def get_flag(self, flag):
        return flag in self.flags

    def set_memory_pool_limit(self, pool, size):
        self.workspace_was_capped = True

    def _set_compute_capability(self, capability, index):
        if index >= self.num_compute_capabilities:
            return False
        self.targets[index] = capability.name
        return True


class Builder:
    """Builds in a thread of its own, in two phases, one within the other, as TensorRT does."""

    STEPS = 4

    def __init__(self, logger):
        module = self.module = type(self).owner
        self.logger = logger
        assert logger.ready, "a logger's base class was not initialised"
        if not module.has_gpu:
            logger.log(Severity.INTERNAL_ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags=0):
        self.module.networks.append(Network(self.module, flags))
        return self.module.networks[-1]

    def create_builder_config(self):
        return Config(self.module)

    def build_serialized_network(self, network, config):
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(self._build(network, config)))
        thread.start()
        thread.join()
        return outcome[0]

    def _build(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, 2)
        for outer in range(2):
            monitor.phase_start("Tactics", "Building", self.STEPS)
            for step in range(self.STEPS):
                self.module.on_step()
                if not monitor.step_complete("Tactics", step):
                    self.logger.log(Severity.ERROR, "Error Code 7: BuildCanceled")
                    return None
            monitor.phase_finish("Tactics")
            monitor.step_complete("Building", outer)
        monitor.phase_finish("Building")
        if self.module.failure:
            self.logger.log(Severity.WARNING, "a warning")
            self.logger.log(Severity.ERROR, self.module.failure)
            return None
        return json.dumps(
            {
                "strongly_typed": network.strongly_typed,
                "flags": sorted(flag.name for flag in config.flags),
                "level": config.builder_optimization_level,
                "hardware": config.hardware_compatibility_level.name,
                "targets": [getattr(config, "targets", {})[i] for i in range(len(getattr(config, "targets", {})))],
                "workspace_was_capped": config.workspace_was_capped,
                "inputs": [[t.name, t.dtype.name, list(t.shape)] for t in network.inputs],
                "outputs": [[t.name, t.dtype.name, list(t.shape)] for t in network.outputs],
            }
        ).encode()


def fake_module(name="tensorrt", version="10.16.1.11"):
    """A module to put into `sys.modules`.

    Its `has_gpu`, `failure` (an error line, for a build that fails), `refused_flags`, `refused` ("config", "strategy",
    "cache", "context", "address", "run"), `environment` (of kernels) and `on_step` are a test's to set; `networks` are
    those that builders made.
    """
    module = ModuleType(name)
    module.__version__ = version
    for part in (ILogger, IProgressMonitor, OnnxParser, BuilderFlag, HardwareCompatibilityLevel, TensorIOMode):
        setattr(module, part.__name__, part)
    module.Builder = type("Builder", (Builder,), {"owner": module})
    module.Runtime = type("Runtime", (Runtime,), {"owner": module})
    module.has_gpu, module.failure, module.refused_flags, module.networks = True, "", set(), []
    module.on_step, module.refused, module.calls = lambda: None, set(), []
    flags = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if version.startswith("10.") else {"EXPLICIT_BATCH": 0}
    module.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", flags)
    if name == "tensorrt_rtx":
        module.ComputeCapability, module.CudaGraphStrategy = ComputeCapability, CudaGraphStrategy
        module.environment = b"sm_89"
    return module


def install_tensorrt(monkeypatch):
    """A stand-in for TensorRT 10 in the place of the real module, and a GPU to build on."""
    module = fake_module()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    gpu = SimpleNamespace(name="NVIDIA H100", compute_capability=(9, 0))
    monkeypatch.setattr("brats_trt.backends.cupy_device.CupyDevice", lambda: gpu)
    return module
