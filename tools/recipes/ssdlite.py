"""SSDLite-MobileNetV2 (TensorFlow's `ssdlite_mobilenet_v2_coco_2018_05_09`) from TensorFlow.js to ONNX.

Only the network between the resized image and the raw box and class predictions is taken: resizing, box
decoding and non-maximum suppression are done in Python, where they can be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx

from recipes.onnx_graph import Array, Convolution, GraphBuilder

SIZE: Final = 300
ANCHOR_COUNT: Final = 1917
CLASS_COUNT: Final = 91

_IMAGE: Final = "Preprocessor/sub"
_BOX_ENCODINGS: Final = "concat"
_CLASS_LOGITS: Final = "concat_1"

# TensorFlow wants value * 2 / 255 - 1. The quantised input has a whole zero point, so `pixels` is
# (value - 128) * 2 / 255, and the missing 1 / 255 is added to the bias of the first convolution.
PIXEL_SCALE: Final = 2 / 255
PIXEL_ZERO_POINT: Final = 128
_MISSING_OFFSET: Final = PIXEL_SCALE * PIXEL_ZERO_POINT - 1


@dataclass(frozen=True)
class _Node:
    """An operation of the TensorFlow graph. `value` is set for constants only."""

    operation: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]
    value: Array | None


@dataclass(frozen=True)
class _OpenConvolution:
    """A convolution that is not in the ONNX graph yet, because a batch normalisation may follow it."""

    source: str
    convolution: Convolution


_Value = Array | _OpenConvolution | str  # a constant, an open convolution, or the name of an ONNX tensor


def build_ssdlite(read: Callable[[str], bytes]) -> onnx.ModelProto:
    """Return the float32 model.

    Its input is `pixels` (1, 3, 300, 300); its outputs are `box_encodings` (1, 1917, 4) and `class_logits`
    (1, 1917, 91).

    Args:
        read: returns a file of the TensorFlow.js model folder: `model.json` and the shards that it names.
    """
    converter = _Converter(_read_graph(read))
    converter.emit_output(_BOX_ENCODINGS, "box_encodings", (1, ANCHOR_COUNT, 4))
    converter.emit_output(_CLASS_LOGITS, "class_logits", (1, ANCHOR_COUNT, CLASS_COUNT))
    return converter.graph.model(
        "ssdlite-mobilenet-v2",
        {"pixels": (1, 3, SIZE, SIZE)},
        {"box_encodings": (1, ANCHOR_COUNT, 4), "class_logits": (1, ANCHOR_COUNT, CLASS_COUNT)},
    )


def _read_graph(read: Callable[[str], bytes]) -> dict[str, _Node]:
    model = json.loads(read("model.json"))
    values = _read_values(model["weightsManifest"], read)
    return {
        node["name"]: _Node(
            operation=node["op"],
            inputs=tuple(node.get("input", ())),
            attributes=node.get("attr", {}),
            value=values.get(node["name"]),
        )
        for node in model["modelTopology"]["node"]
    }


def _read_values(manifest: list[dict[str, Any]], read: Callable[[str], bytes]) -> dict[str, Array]:
    """Return every weight of a TensorFlow.js manifest: groups of shards, each group one run of raw numbers."""
    values = {}
    for group in manifest:
        content, offset = b"".join(read(path) for path in group["paths"]), 0
        for weight in group["weights"]:
            dtype, count = np.dtype(weight["dtype"]).newbyteorder("<"), int(np.prod(weight["shape"], dtype=int))
            values[weight["name"]] = np.frombuffer(content, dtype, count, offset).reshape(weight["shape"])
            offset += count * dtype.itemsize
    return values


class _Converter:
    """Walks the TensorFlow graph backwards from an output and writes the ONNX graph forwards."""

    def __init__(self, nodes: dict[str, _Node]) -> None:
        self.nodes = nodes
        self.graph = GraphBuilder()
        self.values: dict[str, _Value] = {_IMAGE: "pixels"}

    def emit_output(self, name: str, output: str, shape: tuple[int, ...]) -> None:
        """Concatenate the predictions of the six feature maps, each flattened in TensorFlow's NHWC order."""
        maps = [self._flattened(reshape, shape[-1]) for reshape in self.nodes[name].inputs[:-1]]
        self.graph.node("Concat", maps, output, axis=1)

    def _flattened(self, reshape: str, depth: int) -> str:
        source = self._tensor(self.nodes[reshape].inputs[0])
        last = self.graph.node("Transpose", [source], f"{reshape}/channels_last", perm=[0, 2, 3, 1])
        shape = self.graph.constant(f"{reshape}/shape", np.array([1, -1, depth], np.int64))
        return self.graph.node("Reshape", [last, shape], reshape)

    def _tensor(self, name: str) -> str:
        """Return the ONNX tensor of a TensorFlow value; an open convolution is closed, nothing folds into it now."""
        value = self._value(name)
        if isinstance(value, _OpenConvolution):
            value = self.graph.convolution(value.source, value.convolution, name)
            self.values[name] = value
        assert isinstance(value, str), name
        return value

    def _value(self, name: str) -> _Value:
        if name not in self.values:
            node = self.nodes[name]
            self.values[name] = node.value if node.value is not None else self._convert(name, node)
        return self.values[name]

    def _convert(self, name: str, node: _Node) -> _Value:
        match node.operation:
            case "Conv2D" | "DepthwiseConv2dNative":
                return self._open_convolution(node)
            case "FusedBatchNorm":
                return self._normalize(node)
            case "Mul" | "Add" | "BiasAdd":
                return self._scale_or_shift(name, node)
            case "AddN":
                return self.graph.node("Add", [self._tensor(source) for source in node.inputs], name)
            case "Relu6":
                return self.graph.relu6(self._tensor(node.inputs[0]))
        raise NotImplementedError(f"{node.operation} ({name})")

    def _open_convolution(self, node: _Node) -> _OpenConvolution:
        source, weights = self._tensor(node.inputs[0]), self._constant(node.inputs[1])
        depthwise = node.operation == "DepthwiseConv2dNative"
        weights = weights.transpose(2, 3, 0, 1) if depthwise else weights.transpose(3, 2, 0, 1)
        stride = int(node.attributes["strides"]["list"]["i"][1])
        convolution = Convolution(
            weights, np.zeros(len(weights), np.float32), stride, groups=len(weights) if depthwise else 1
        )
        if source == "pixels":
            convolution = convolution.shifted(weights.sum(axis=(1, 2, 3)) * np.float32(_MISSING_OFFSET))
        return _OpenConvolution(source, convolution)

    def _normalize(self, node: _Node) -> _OpenConvolution:
        opened = self._value(node.inputs[0])
        assert isinstance(opened, _OpenConvolution)
        scale, shift, mean, variance = (self._constant(name) for name in node.inputs[1:])
        epsilon = float(node.attributes["epsilon"]["f"])
        return _OpenConvolution(opened.source, opened.convolution.normalized(scale, shift, mean, variance, epsilon))

    def _scale_or_shift(self, name: str, node: _Node) -> _Value:
        """A batch normalisation that was frozen into Mul and Add folds; an addition of two maps stays."""
        left = self._value(node.inputs[0])
        if isinstance(left, np.ndarray):
            return self._shift_before_sum(left, node.inputs[1])
        right = self._value(node.inputs[1])
        if isinstance(left, _OpenConvolution) and isinstance(right, np.ndarray):
            change = left.convolution.scaled if node.operation == "Mul" else left.convolution.shifted
            return _OpenConvolution(left.source, change(right.reshape(-1)))
        return self.graph.node("Add", [self._tensor(source) for source in node.inputs], name)

    def _shift_before_sum(self, shift: Array, name: str) -> str:
        """TensorFlow's optimiser moved some shifts behind the sum of convolution and residual; move them back."""
        convolution_name = self.nodes[name].inputs[0]
        opened = self._value(convolution_name)
        assert isinstance(opened, _OpenConvolution), name
        self.values[convolution_name] = _OpenConvolution(opened.source, opened.convolution.shifted(shift.reshape(-1)))
        return self._tensor(name)

    def _constant(self, name: str) -> Array:
        value = self._value(name)
        assert isinstance(value, np.ndarray), name
        return value
