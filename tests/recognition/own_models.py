"""Tiny own models for tests, made on the spot with known answers: none is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HEIGHT: Final = 16
WIDTH: Final = 32
COLOURS: Final = ("Scarlet", "Emerald", "Azure")  # the vocabulary knows none of them

_TYPES: Final = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
_FUNCTIONS: Final = {"logits": "Identity", "probabilities": "Softmax", "score_logits": "Identity", "scores": "Sigmoid"}


def colour_classifier(
    values: str = "logits", layout: str = "nchw", dtype: str = "float32", gain: float = 8.0, shape: Any = None
) -> bytes:
    """Return a model that gives each channel `gain` times its mean, behind the function that `values` implies.

    Its input is 16 x 32 pixels, or has the `shape` that is given.
    """
    fixed = [1, 3, HEIGHT, WIDTH] if layout == "nchw" else [1, HEIGHT, WIDTH, 3]
    shape = fixed if shape is None else shape
    rank = len(shape)
    axes = [rank - 2, rank - 1] if layout == "nchw" else [rank - 3, rank - 2]
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["means", "gain"], ["gained"]),
        helper.make_node(_FUNCTIONS[values], ["gained"], ["answer"]),
    ]
    image = helper.make_tensor_value_info("image", _TYPES[dtype], shape)
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    return serialized(nodes, [image], [answer], {"gain": np.float32(gain)})


def constant_model(outputs: dict[str, NDArray[Any]], inputs: int = 1, dtype: int = TensorProto.FLOAT) -> bytes:
    """Return a model that answers the same arrays to every picture."""
    images = [helper.make_tensor_value_info(f"image{n or ''}", dtype, [1, 3, HEIGHT, WIDTH]) for n in range(inputs)]
    nodes = [helper.make_node("Identity", [f"_{name}"], [name]) for name in outputs]
    known = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in outputs.items()
    ]
    return serialized(nodes, images, known, {f"_{name}": array for name, array in outputs.items()})


def serialized(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: dict[str, Any],
    *,
    tensors: Sequence[TensorProto] = (),
    opset: int = 13,
) -> bytes:
    """Return the bytes of an ONNX file."""
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, [*initializers, *tensors])
    domains = {"": opset} | {node.domain: 1 for node in nodes if node.domain}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def save_model(
    folder: Path,
    model: bytes,
    labels: Iterable[str] = COLOURS,
    *,
    kind: str = "classifier",
    top: str = "",
    inputs: str = "",
    output: str = 'values = "logits"',
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Path:
    """Write model, labels and description into `folder`; return the path of the description."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    description = folder / "model.toml"
    description.write_text(
        f'kind = "{kind}"\nmodel = "model.onnx"\nlabels = "labels.txt"\n{top}\n'
        f"[input]\nsize = [{size[0]}, {size[1]}]\n{inputs}\n[output]\n{output}\n",
        encoding="utf-8",
    )
    return description
