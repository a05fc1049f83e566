"""A graph to plant faults in."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper


class Planted:
    """A copy of a graph to plant faults in."""

    def __init__(self, model):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph

    def nodes(self, operator):
        return [node for node in self.graph.node if node.op_type == operator]

    def convolution(self, side):
        """The first convolution with a window of that side, and not of the input."""
        shapes = {array.name: tuple(array.dims) for array in self.graph.initializer}
        found = [node for node in self.nodes("Conv") if shapes[node.input[1]][2:] == (side,) * 3]
        return next(node for node in found if node.input[0] != "data_crop")

    def maker(self, name):
        return next(node for node in self.graph.node if name in node.output)

    def set(self, node, **attributes):
        for name, value in attributes.items():
            for old in [each for each in node.attribute if each.name == name]:
                node.attribute.remove(old)
            if value is not None:
                node.attribute.append(helper.make_attribute(name, value))

    def constant(self, array, name="planted"):
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def array(self, name):
        return numpy_helper.to_array(next(array for array in self.graph.initializer if array.name == name))

    def insert_after(self, node, new):
        nodes = [each for old in self.graph.node for each in ([old, new] if old is node else [old])]
        copies = []
        for each in nodes:
            copies.append(onnx.NodeProto())
            copies[-1].CopyFrom(each)
        del self.graph.node[:]
        self.graph.node.extend(copies)
