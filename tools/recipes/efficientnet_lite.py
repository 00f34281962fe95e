"""EfficientNet-Lite2 as an ONNX graph.

The network is EfficientNet (arXiv:1905.11946, table 1) without squeeze-and-excitation and with ReLU6, scaled by
width 1.1 and depth 1.2 for 260 x 260 pixels; stem, head and the first and last stage are not scaled in depth
(tensorflow/tpu, models/official/efficientnet/lite).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx

from recipes.onnx_graph import Array, Convolution, GraphBuilder

SIZE: Final = 260
CLASS_COUNT: Final = 1000
_DEPTH: Final = 1.2
_EPSILON: Final = 1e-3


@dataclass(frozen=True)
class _Stage:
    """A row of table 1: inverted-residual blocks, the first of which has the stride."""

    blocks: int
    stride: int
    expands: bool


_STAGES: Final = (
    _Stage(blocks=1, stride=1, expands=False),
    *(_Stage(math.ceil(blocks * _DEPTH), stride, True) for blocks, stride in ((2, 2), (2, 2), (3, 2), (3, 1), (4, 2))),
    _Stage(blocks=1, stride=1, expands=True),
)


def build_efficientnet_lite2(parameters: dict[str, Array]) -> onnx.ModelProto:
    """Return the float32 model: `pixels` (1, 3, 260, 260), (value - 127) / 128, to `logits` (1, 1000)."""
    network = _Network(parameters, GraphBuilder())
    network.build()
    return network.graph.model("efficientnet-lite2", {"pixels": (1, 3, SIZE, SIZE)}, {"logits": (1, CLASS_COUNT)})


@dataclass(frozen=True)
class _Network:
    """The graph, as it grows from the parameters, named as in the PyTorch port of the network."""

    parameters: dict[str, Array]
    graph: GraphBuilder

    def build(self) -> None:
        tensor = self.convolve("pixels", "_conv_stem", "_bn0", stride=2)
        block = 0
        for stage in _STAGES:
            for position in range(stage.blocks):
                stride = stage.stride if position == 0 else 1
                tensor = self.inverted_residual(tensor, f"_blocks.{block}", stride, stage.expands)
                block += 1
        self.classify(self.convolve(tensor, "_conv_head", "_bn1"))

    def inverted_residual(self, source: str, block: str, stride: int, expands: bool) -> str:
        """Expand, convolve each channel alone, project; add the source where the shapes allow (arXiv:1801.04381)."""
        tensor = source
        if expands:
            tensor = self.convolve(tensor, f"{block}._expand_conv", f"{block}._bn0")
        tensor = self.convolve(tensor, f"{block}._depthwise_conv", f"{block}._bn1", stride)
        projection = self.folded(f"{block}._project_conv", f"{block}._bn2")
        tensor = self.graph.convolution(tensor, projection, f"{block}._project_conv")
        if stride == 1 and self.in_channels(block, expands) == projection.weights.shape[0]:
            tensor = self.graph.node("Add", [tensor, source], f"{block}.add")
        return tensor

    def in_channels(self, block: str, expands: bool) -> int:
        if expands:
            return int(self.parameters[f"{block}._expand_conv.weight"].shape[1])
        return int(self.parameters[f"{block}._depthwise_conv.weight"].shape[0])

    def convolve(self, source: str, name: str, normalization: str, stride: int = 1) -> str:
        return self.graph.relu6(self.graph.convolution(source, self.folded(name, normalization, stride), name))

    def folded(self, name: str, normalization: str, stride: int = 1) -> Convolution:
        weights = self.parameters[f"{name}.weight"]
        groups = weights.shape[0] if "depthwise" in name else 1
        convolution = Convolution(weights, np.zeros(weights.shape[0], np.float32), stride, groups)
        return convolution.normalized(
            scale=self.parameters[f"{normalization}.weight"],
            shift=self.parameters[f"{normalization}.bias"],
            mean=self.parameters[f"{normalization}.running_mean"],
            variance=self.parameters[f"{normalization}.running_var"],
            epsilon=_EPSILON,
        )

    def classify(self, source: str) -> None:
        pooled = self.graph.node("GlobalAveragePool", [source], "pooled")
        features = self.graph.node("Flatten", [pooled], "features")
        weights = self.graph.constant("_fc.weight", self.parameters["_fc.weight"])
        bias = self.graph.constant("_fc.bias", self.parameters["_fc.bias"])
        self.graph.node("Gemm", [features, weights, bias], "logits", transB=1)
