"""The part of `fake_tensorrt` that loads plans and runs them."""

from __future__ import annotations

import json
from enum import Enum


class Severity(Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3


class DataType(Enum):
    FLOAT = 0
    HALF = 1


class TensorIOMode(Enum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class CudaGraphStrategy(Enum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


class Part:
    """An object of the runtime that notes its death, and holds the one it came from as the library's own do."""

    def __init__(self, module, name, parent=None):
        self.module, self.name, self.parent = module, name, parent

    def __del__(self):
        self.module.calls.append(f"{self.name} gone")


class Runtime(Part):
    def __init__(self, logger):
        super().__init__(type(self).owner, "runtime")
        if not self.module.has_gpu:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self.logger = logger

    def deserialize_cuda_engine(self, content):
        self.module.calls.append("deserialise")
        try:
            plan = json.loads(content)
        except ValueError:
            self.logger.log(Severity.ERROR, "Serialization assertion failed: magic tag")
            return None
        return Engine(self, plan)


class Engine(Part):
    def __init__(self, runtime, plan):
        super().__init__(runtime.module, "engine", runtime)
        self.tensors = {name: (kind, shape, mode) for mode in ("inputs", "outputs") for name, kind, shape in plan[mode]}
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name):
        return DataType[self.tensors[name][0]]

    def get_tensor_shape(self, name):
        return self.tensors[name][1]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if self.tensors[name][2] == "inputs" else TensorIOMode.OUTPUT

    def create_runtime_config(self):
        return None if "config" in self.module.refused else RuntimeConfig(self)

    def create_execution_context(self, config=None):
        if "context" in self.module.refused:
            return None
        self.module.calls.append(("context", config.cuda_graph_strategy.name, config.cache is not None))
        return Context(self, config)


class RuntimeConfig(Part):
    """Which takes a strategy, and a cache of kernels."""

    def __init__(self, engine):
        super().__init__(engine.module, "config", engine)
        self._strategy, self.cache = CudaGraphStrategy.DISABLED, None

    @property
    def cuda_graph_strategy(self):
        return self._strategy

    @cuda_graph_strategy.setter
    def cuda_graph_strategy(self, strategy):
        if "strategy" not in self.module.refused:
            self._strategy = strategy

    def create_runtime_cache(self):
        return RuntimeCache(self)

    def set_runtime_cache(self, cache):
        self.cache = cache
        return "cache" not in self.module.refused


class RuntimeCache(Part):
    """Whose kernels are a text that names the environment; a run compiles them."""

    def __init__(self, config):
        super().__init__(config.module, "cache", config)
        self.kernels = b""

    def deserialize(self, content):
        if not content.startswith(self.module.environment):
            return False
        self.kernels = content
        return True

    def serialize(self):
        return memoryview(self.kernels)


class Context(Part):
    def __init__(self, engine, config):
        super().__init__(engine.module, "context", engine)
        self.addresses, self.config = {}, config

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return "address" not in self.module.refused

    def execute_async_v3(self, handle):
        if "run" in self.module.refused:
            self.parent.parent.logger.log(Severity.ERROR, "Cuda Runtime: an illegal memory access")
            return False
        self.module.calls.append(("run", dict(self.addresses), handle))
        cache = self.config.cache
        if cache is not None and not cache.kernels:
            self.module.calls.append("compiled")
            cache.kernels = self.module.environment + b" kernels"
        return True
