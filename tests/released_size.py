"""A checkpoint of the released network's size, or of any other width, with random weights.

    python tests/released_size.py FOLDER [--factor 8]

The reference checkpoint `random-f1` has the released one's nodes at base width 1. Every width is multiplied but the
four classes in front of a softmax; the arrays follow from that and are saved as MXNet saves them.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from pathlib import Path

import numpy as np
from mxnet_files import REFERENCE, array_bytes, params_bytes

SYMBOL = REFERENCE / "random-f1-symbol.json"
RELEASED_FACTOR = 8
MODALITIES = 4


def scaled_symbol(factor):
    """The symbol's text with wider layers, laid out as MXNet does."""
    text = SYMBOL.read_text()
    nodes = json.loads(text)["nodes"]
    classifiers = {nodes[node["inputs"][0][0]]["name"] for node in nodes if node["op"] == "softmax"}
    lines, layer = [], ""
    for line in text.splitlines(keepends=True):
        if found := re.search(r'"name": "(.*?)(_weight|_bias)?"', line):
            layer = found.group(1)
        if layer not in classifiers:
            line = re.sub(r'("num_filter": )"(\d+)"', lambda match: f'{match[1]}"{int(match[2]) * factor}"', line)
        lines.append(line)
    return "".join(lines)


def array_shapes(document):
    """The shape of each array, in the symbol's order, from the channels that each node has."""
    nodes, channels, shapes = document["nodes"], {}, {}
    for index, node in enumerate(nodes):
        attributes = node.get("attrs", {})
        sources = [entry[0] for entry in node["inputs"]]
        if node["op"] == "null":
            channels[index] = MODALITIES
            continue
        before = channels[sources[0]]
        channels[index] = int(attributes.get("num_filter", before))
        if node["op"] == "SliceChannel":
            channels[index] = before // MODALITIES
        if node["op"] == "Concat":
            channels[index] = sum(channels[source] for source in sources)
        for shape, source in zip(_arrays_of(node, before, channels[index]), sources[1:], strict=False):
            shapes[nodes[source]["name"]] = shape
    return {node["name"]: shapes[node["name"]] for node in nodes if node["name"] in shapes}


def _arrays_of(node, before, after):
    attributes = node.get("attrs", {})
    kernel = tuple(int(part) for part in attributes.get("kernel", "").strip("()").split(",") if part)
    groups = int(attributes.get("num_group", 1))
    return {
        "Convolution": [(after, before // groups, *kernel), (after,)],
        "Deconvolution": [(before, after // groups, *kernel)],
        "InstanceNorm": [(before,), (before,)],
    }.get(node["op"], [])


def random_array(name, shape, random):
    """Values of a size that a trained network's have."""
    if name.endswith("_gamma"):
        return (1 + 0.1 * random.standard_normal(shape)).astype(np.float32)
    spread = math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1
    return random.standard_normal(shape, np.float32) * np.float32(spread)


def write_checkpoint(folder, factor=RELEASED_FACTOR):
    """Write symbol and weights; their paths and the number of parameters."""
    text = scaled_symbol(factor)
    shapes = array_shapes(json.loads(text))
    random = np.random.default_rng(8)
    saved = [array_bytes(random_array(name, shape, random)) for name, shape in shapes.items()]
    symbol, weights = folder / f"random-f{factor}-symbol.json", folder / f"random-f{factor}-0000.params"
    symbol.write_text(text)
    weights.write_bytes(params_bytes(saved, [f"arg:{name}" for name in shapes]))
    return symbol, weights, sum(map(math.prod, shapes.values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--factor", type=int, default=RELEASED_FACTOR)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(arguments.folder, arguments.factor)


if __name__ == "__main__":
    main()
