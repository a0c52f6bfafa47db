"""Parts of an exported graph, told by what leads where: old and new files, of any variant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import onnx
from onnx import shape_inference
from onnx.utils import Extractor

from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES

NETWORK, CANDIDATES, MASKS, NMS, BESIDES = PARTS = (
    "network",
    "candidates",
    "masks",
    "NMS",
    "besides",
)
# What a network consists of but for convolutions, and what a runtime puts behind its end.
_LAYERS: Final = {"Relu", "Clip", "DequantizeLinear", "ReorderOutput"}


def parts_of(graph: onnx.GraphProto) -> list[str]:
    """The part of each node, in the graph's order.

    A layer that is not behind a choice (`TopK`) is of the network, with all that leads to it. The
    last choice is that of instances: what leads to an earlier one makes candidates, what else leads
    to the masks but through the last one makes masks, and the rest of what leads to scores and
    labels is NMS.
    """
    lineage = _Lineage(graph)
    choices = [place for place, node in enumerate(graph.node) if node.op_type == "TopK"]
    answer = lineage.leading_to(OUTPUT_NAMES)
    last = max(answer.intersection(choices))
    behind_a_choice = lineage.behind(choices)
    layers = [
        name
        for place, node in enumerate(graph.node)
        if _is_layer(node) and place in answer - behind_a_choice
        for name in node.output
    ]
    network = lineage.leading_to(layers)
    to_masks = lineage.leading_to(OUTPUT_NAMES[2:3], but_through=last)
    earlier = to_masks.intersection(choices) - {last}
    to_choice = lineage.leading_to(name for place in earlier for name in graph.node[place].output)
    parts = ((network, NETWORK), (to_choice, CANDIDATES), (to_masks, MASKS), (answer, NMS))
    return [
        next((name for members, name in parts if place in members), BESIDES)
        for place in range(len(graph.node))
    ]


def bare_network(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph cut behind its network: only what leads to scores, labels or masks is left."""
    parts = parts_of(model.graph)
    used = {
        name
        for node, part in zip(model.graph.node, parts, strict=True)
        if part not in (NETWORK, BESIDES)
        for name in node.input
    }
    ends = [
        name
        for node, part in zip(model.graph.node, parts, strict=True)
        if part == NETWORK
        for name in node.output
        if name in used
    ]
    return Extractor(shape_inference.infer_shapes(model)).extract_model([INPUT_NAME], ends)


class _Lineage:
    """What each node's inputs come from."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._nodes = graph.node
        self._maker = {
            name: place for place, node in enumerate(graph.node) for name in node.output if name
        }

    def leading_to(self, names: Iterable[str], but_through: int | None = None) -> set[int]:
        """Places of all nodes that lead to a tensor, of which one may be passed over."""
        found: set[int] = set()
        left = list(names)
        while left:
            place = self._maker.get(left.pop())
            if place is not None and place not in found and place != but_through:
                found.add(place)
                left.extend(self._nodes[place].input)
        return found

    def behind(self, places: list[int]) -> set[int]:
        """Places of all nodes that hang on given ones; the graph is in topological order."""
        found = set(places)
        for place, node in enumerate(self._nodes):
            if found.intersection(self._maker.get(name, -1) for name in node.input):
                found.add(place)
        return found


def _is_layer(node: onnx.NodeProto) -> bool:
    return "Conv" in node.op_type or node.op_type in _LAYERS or "Normalization" in node.op_type
