"""A small builder of ONNX graphs for mobile convolutional networks. Everything is float32 NCHW."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
_IR_VERSION: Final = 9

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Convolution:
    """Weights of one convolution with TensorFlow's SAME padding.

    Attributes:
        weights: (out, in / groups, height, width).
        bias: (out,).
        stride: in pixels, the same for both directions.
        groups: 1, or the number of channels for a depthwise convolution.
    """

    weights: Array
    bias: Array
    stride: int = 1
    groups: int = 1

    def scaled(self, factor: Array) -> Convolution:
        """Return the convolution whose output is multiplied by `factor`, (out,)."""
        return replace(self, weights=self.weights * factor[:, None, None, None], bias=self.bias * factor)

    def shifted(self, offset: Array) -> Convolution:
        """Return the convolution whose output is moved by `offset`, (out,)."""
        return replace(self, bias=self.bias + offset)

    def normalized(self, scale: Array, shift: Array, mean: Array, variance: Array, epsilon: float) -> Convolution:
        """Return the convolution that does the batch normalisation behind it as well (arXiv:1502.03167).

        In double precision, because the folded weights are rounded once more when they are quantised.
        """
        factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        return replace(
            self,
            weights=(self.weights * factor[:, None, None, None]).astype(np.float32),
            bias=((self.bias - mean) * factor + shift).astype(np.float32),
        )


@dataclass
class GraphBuilder:
    """Collects nodes in order; every method returns the name of the tensor that it makes."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant tensor."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operation: str, inputs: list[str], name: str, **attributes: Any) -> str:  # noqa: ANN401  # as ONNX has it
        """Add any operation that has one output."""
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        return name

    def convolution(self, source: str, convolution: Convolution, name: str) -> str:
        """Add a convolution with its weights."""
        weights = self.constant(f"{name}/weights", convolution.weights.astype(np.float32))
        bias = self.constant(f"{name}/bias", convolution.bias.astype(np.float32))
        return self.node(
            "Conv",
            [source, weights, bias],
            name,
            auto_pad="SAME_UPPER",
            kernel_shape=convolution.weights.shape[2:],
            strides=[convolution.stride, convolution.stride],
            group=convolution.groups,
        )

    def relu6(self, source: str) -> str:
        """Add a ReLU that ends at 6."""
        if not any(initializer.name == "six" for initializer in self.initializers):
            self.constant("zero", np.array(0, np.float32))
            self.constant("six", np.array(6, np.float32))
        return self.node("Clip", [source, "zero", "six"], f"{source}/relu6")

    def model(
        self, name: str, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
    ) -> onnx.ModelProto:
        """Return the checked model. Inputs and outputs are float32 tensors of the given shapes."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            self.initializers,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="lumitag"
        )
        onnx.checker.check_model(model, full_check=True)
        return model
