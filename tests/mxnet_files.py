"""A small writer of MXNet's two files: what the tests of the converter feed it with."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).parent / "data" / "reference"

DTYPES = ("f4", "f8", "f2", "u1", "i4", "i1", "i8", "?", "i2", "u2", "u4", "u8", "bfloat16")
MAGIC = {"V1": 0xF993FAC8, "V2": 0xF993FAC9, "V3": 0xF993FACA}


def array_bytes(array, version="V2", dtype=None):
    """One array as MXNet saves it; `dtype` names a type that NumPy lacks, for an array of its bits."""
    code = DTYPES.index(dtype or {"b1": "?"}.get(array.dtype.str[1:], array.dtype.str[1:]))
    axes = struct.pack(f"<{'I' if version == 'legacy' else 'i'}", array.ndim)
    axes += struct.pack(f"<{array.ndim}{'I' if version == 'legacy' else 'q'}", *array.shape)
    head = b"" if version == "legacy" else struct.pack("<I", MAGIC[version])
    head += struct.pack("<i", 0) if version in ("V2", "V3") else b""
    return head + axes + struct.pack("<iii", 1, 0, code) + array.tobytes()


def params_bytes(saved, names):
    """The file of arrays that are bytes already, and their names."""
    encoded = [name.encode() for name in names]
    parts = [struct.pack("<QQQ", 0x112, 0, len(saved)), *saved, struct.pack("<Q", len(encoded))]
    parts += [struct.pack("<Q", len(name)) + name for name in encoded]
    return b"".join(parts)


def write_params(path, arrays, version="V2"):
    """Write a dictionary of arrays, each under `arg:`."""
    saved = [array_bytes(array, version) for array in arrays.values()]
    path.write_bytes(params_bytes(saved, [f"arg:{name}" for name in arrays]))
    return path


class SymbolWriter:
    """A symbol under construction; edges are what its methods return."""

    def __init__(self, field="attrs", entries=3):
        self.nodes = []
        self._field = field
        self._entries = entries

    def variable(self, name, **attributes):
        return self.add("null", name, **attributes)

    def add(self, operator, name, *inputs, **attributes):
        node = {"op": operator, "name": name, "inputs": [self._entry(edge) for edge in inputs]}
        if attributes:
            node[self._field] = {key: str(value) for key, value in attributes.items()}
        self.nodes.append(node)
        return len(self.nodes) - 1, 0

    def document(self, *heads):
        variables = [index for index, node in enumerate(self.nodes) if node["op"] == "null"]
        return {
            "nodes": self.nodes,
            "arg_nodes": variables,
            "node_row_ptr": list(range(len(self.nodes) + 1)),
            "heads": [self._entry(edge) for edge in heads],
            "attrs": {"mxnet_version": ["int", 10901]},
        }

    def write(self, path, *heads):
        path.write_text(json.dumps(self.document(*heads), indent=2))
        return path

    def _entry(self, edge):
        return [*edge, 0][: self._entries]


def small_network(writer=None):
    """Convolution, norm, ReLU, fusion and softmax: the writer, its head and its arrays."""
    symbol = writer or SymbolWriter()
    random = np.random.default_rng(5)
    arrays = {}

    def array(name, *shape):
        arrays[name] = random.standard_normal(shape).astype(np.float32)
        return symbol.variable(name)

    data = symbol.variable("data_crop")
    convolution = symbol.add(
        "Convolution",
        "first_net1conv",
        data,
        array("conv_weight", 16, 1, 3, 3, 3),
        array("conv_bias", 16),
        kernel=(3, 3, 3),
        num_filter=16,
        num_group=4,
        pad=(1, 1, 1),
    )
    norm = symbol.add("InstanceNorm", "norm", convolution, array("norm_gamma", 16), array("norm_beta", 16))
    relu = symbol.add("Activation", "relu", norm, act_type="relu")
    split, _ = symbol.add("SliceChannel", "split", relu, axis=1, num_outputs=4)
    stack = symbol.add("stack", "stack", *((split, part) for part in range(4)), axis=5, num_args=4)
    softmax = symbol.add("softmax", "softmax_lbl", symbol.add("max", "fused", stack, axis=5), axis=1)
    return symbol, symbol.add("BlockGrad", "blockgrad7", softmax), arrays
