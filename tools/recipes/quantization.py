"""Static 8-bit quantisation (arXiv:1712.05877): QDQ nodes, unsigned activations, signed weights per channel.

Measured on x86 with VNNI this is 2.3 times as fast as float32 and loses nothing that can be measured;
dynamic quantisation and signed activations are both slower than float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.shape_inference import quant_pre_process

Pixels = NDArray[np.uint8]


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration images to onnxruntime, one batch of one image at a time."""

    def __init__(self, images: list[Pixels], scale: float, zero_point: int) -> None:
        self._tensors: Iterator[NDArray[np.float32]] = (
            ((image.astype(np.float32) - zero_point) * np.float32(scale)).transpose(2, 0, 1)[None] for image in images
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {"pixels": tensor}


def quantize(model: onnx.ModelProto, images: list[Pixels], scale: float, zero_point: int) -> onnx.ModelProto:
    """Return the int8 model with an input `image`: uint8 (1, height, width, 3), RGB.

    Args:
        model: float32, with an input `pixels` (1, 3, height, width).
        images: RGB, (height, width, 3): what the ranges of the activations are taken from.
        scale: of the input: `pixels` is `(value - zero_point) * scale`.
        zero_point: likewise, 0 to 255.
    """
    with TemporaryDirectory() as folder:
        source, prepared, target = (str(Path(folder, name)) for name in ("float", "prepared", "quantized"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        reader = _CalibrationReader(images, scale, zero_point)
        overrides = _depthwise_weights_in_full(onnx.load(prepared)) | _activation_ranges(prepared, reader)
        quantize_static(
            prepared,
            target,
            _CalibrationReader(images[:1], scale, zero_point),  # it insists on one; the ranges are given
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # but see _depthwise_weights_in_full
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": overrides},
        )
        quantized = onnx.load(target)
    _take_bytes(quantized, scale, zero_point)
    for output in quantized.graph.output:
        _leave_float(quantized, output.name)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


_Overrides = dict[str, list[dict[str, Any]]]


def _activation_ranges(path: str, reader: _CalibrationReader) -> _Overrides:
    """Return the range of every activation on the calibration images, a little widened."""
    calibrator = create_calibrator(path, augmented_model_path=f"{path}-augmented")
    calibrator.collect_data(reader)
    ranges = {name: tensor.range_value for name, tensor in calibrator.compute_data().items()}
    return {
        name: [{"rmin": _widened(float(np.ravel(low)[0])), "rmax": _widened(float(np.ravel(high)[0]))}]
        for name, (low, high) in ranges.items()
    }


def _widened(bound: float) -> np.float32:
    """Return the bound, away from zero, to 5 binary digits.

    Processors add in different orders, so the last digits of a range differ between machines; these do not, and the
    file comes out the same byte for byte.
    """
    fraction, exponent = math.frexp(bound)
    return np.float32(math.copysign(math.ldexp(math.ceil(abs(fraction) * 32) / 32, exponent), bound))


def _depthwise_weights_in_full(model: onnx.ModelProto) -> _Overrides:
    """Return that depthwise weights keep all 8 bits while the others get 7.

    x86 without VNNI adds two products of 8 bits in 16: 2 * 255 * 127 overflows, 2 * 255 * 63 does not. Depthwise
    kernels add in 32 bits, and with only 9 or 25 weights a channel they are the ones that miss the eighth bit.
    """
    depthwise = [node.input[1] for node in model.graph.node if node.op_type == "Conv" and _groups(node) > 1]
    return {weights: [{"axis": 0, "reduce_range": False}] for weights in depthwise}


def _groups(convolution: onnx.NodeProto) -> int:
    return next(int(attribute.i) for attribute in convolution.attribute if attribute.name == "group")


def _take_bytes(model: onnx.ModelProto, scale: float, zero_point: int) -> None:
    """Replace the quantisation of the float input by the bytes themselves: normalisation then costs nothing."""
    graph = model.graph
    [quantize_input] = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "pixels"]
    _, scale_name, zero_point_name = quantize_input.input
    _replace_initializer(graph, scale_name, np.array(scale, np.float32))
    _replace_initializer(graph, zero_point_name, np.array(zero_point, np.uint8))
    transpose = helper.make_node(
        "Transpose", ["image"], quantize_input.output, name="channels_first", perm=[0, 3, 1, 2]
    )
    position = list(graph.node).index(quantize_input)
    graph.node.remove(quantize_input)
    graph.node.insert(position, transpose)
    size = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, (1, size, size, 3)))


def _leave_float(model: onnx.ModelProto, output: str) -> None:
    """Take away the quantisation of an output: its range on the calibration images would cut off every surer answer."""
    graph = model.graph
    dequantize = _producer(graph, output)
    quantize_output = _producer(graph, dequantize.input[0])
    last = _producer(graph, quantize_output.input[0])
    last.output[0] = output
    graph.node.remove(dequantize)
    graph.node.remove(quantize_output)


def _producer(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto:
    node: onnx.NodeProto
    for node in graph.node:
        if tensor in node.output:
            return node
    raise KeyError(tensor)


def _replace_initializer(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> None:
    [initializer] = [initializer for initializer in graph.initializer if initializer.name == name]
    initializer.CopyFrom(numpy_helper.from_array(value, name))
