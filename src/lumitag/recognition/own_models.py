"""Own models: an ONNX graph that a description describes, checked until it fits, then loaded.

The graph is loaded from bytes, so it can refer to no other file, and only operators that ONNX Runtime brings with it
are known: nothing that could execute code of its own is ever loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from lumitag.errors import RecognitionFailed
from lumitag.recognition.classifier import Classifier
from lumitag.recognition.confidence import sigmoid, softmax
from lumitag.recognition.decode import Picture
from lumitag.recognition.detector import Detector, Outputs
from lumitag.recognition.detector_outputs import OutputReader
from lumitag.recognition.model_description import (
    MORE_MEMORY,
    ClassifierDescription,
    ClassifierOutput,
    Described,
    DescribedModel,
    DetectorDescription,
    InputTable,
    read_model,
)
from lumitag.recognition.network import Network, open_session
from lumitag.recognition.orientation import UPRIGHT
from lumitag.recognition.own_taxonomy import with_own_classes
from lumitag.recognition.preprocessing import Dtype, Preprocessing
from lumitag.recognition.taxonomy import Taxonomy

_DTYPES: Final[dict[str, Dtype]] = {
    "tensor(uint8)": "uint8",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
}
_RESAMPLINGS: Final = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_CHANNELS: Final = 3
_BATCHED: Final = 4  # axes of an input that takes several pictures
_GREY: Final = (128, 128, 128)
_TOLERANCE: Final = 0.01  # 16-bit floats have three digits
_SUM_TOLERANCE: Final = 0.1  # of a softmax that is rounded to 8 bits
_LARGEST_RATIO: Final = 10.0  # a box may reach beyond the picture, but hardly ten times as far
_SMALLEST_PIXELS: Final = 2.0
_TINY: Final = 1e-12
_RATIOS: Final = frozenset({"probabilities", "scores"})
_LONGEST_REASON: Final = 300
_MEANINGS: Final = {
    "xternal|model_path": "It keeps weights in other files, and none is read. Save the model as one file.",
    "not a registered|No Op registered": (
        "It uses an operator that ONNX Runtime does not have, and none is ever loaded. Export the model without it."
    ),
    "(?i)protobuf": "It is no ONNX file, or damaged. Export the model again.",
    "bad_alloc|(?i:memory)": MORE_MEMORY,
    "Unsupported model IR|opset": "It is newer than ONNX Runtime here. Export it with a lower opset version.",
}


def own_classifier(description: Path, taxonomy: Taxonomy) -> tuple[Classifier, Taxonomy, bytes]:
    """Return the classifier, the taxonomy of its classes, and what its answers depend on. Raises InvalidModel."""
    model = read_model(description, ClassifierDescription)
    return load_classifier(model), with_own_classes(taxonomy, model), model.digest.encode()


def own_detector(description: Path, taxonomy: Taxonomy) -> tuple[Detector, Taxonomy, bytes]:
    """Return the detector, the taxonomy of its classes, and what its answers depend on. Raises InvalidModel."""
    model = read_model(description, DetectorDescription)
    return load_detector(model), with_own_classes(taxonomy, model), model.digest.encode()


def load_classifier(model: DescribedModel[ClassifierDescription]) -> Classifier:
    """Return the classifier. Raises InvalidModel where graph, description and list of labels do not fit together."""
    output = model.description.output
    network = _network(model, (output.name,) if output.name else (), 1)
    classifier = Classifier(network, _activation(output))
    _check_values(model, _tried(model, network)[0])
    return classifier


def load_detector(model: DescribedModel[DetectorDescription]) -> Detector:
    """Return the detector. Raises InvalidModel where graph, description and list of labels do not fit together."""
    output, size = model.description.output, model.description.input.size
    network = _network(model, output.names, output.output_count)
    reader = OutputReader(output, len(model.class_names), *size)
    _check_boxes(model, reader, _tried(model, network))
    return Detector(network, reader)


def _network(model: DescribedModel[Described], names: tuple[str, ...], output_count: int) -> Network:
    session = _session(model)
    preprocessing, name = _preprocessing(model, session)
    return Network(session, preprocessing, name, _output_names(model, session, names, output_count))


def _session(model: DescribedModel[Described]) -> onnxruntime.InferenceSession:
    try:
        return open_session(model.model)
    except Exception as error:  # its classes have no common parent
        raise model.error(f"{model.description.model} cannot be loaded. {_words(error)}") from error


def _words(error: Exception) -> str:
    """Return what an error of ONNX Runtime means and what to do."""
    text = f"{type(error).__name__}: {error}"
    for pattern, words in _MEANINGS.items():
        if re.search(pattern, text):
            return words
    reason = text.rpartition(" : ")[2] if "[ONNXRuntimeError]" in text else text
    return f"ONNX Runtime says: {' '.join(reason.split())[:_LONGEST_REASON]}"


def _preprocessing(
    model: DescribedModel[Described], session: onnxruntime.InferenceSession
) -> tuple[Preprocessing, str]:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise model.error(f"The model has {len(inputs)} inputs, {_listed(inputs)}. It must take a picture and no more.")
    [found] = inputs
    if found.type not in _DTYPES:
        raise model.error(f"The model takes {found.type}. It must take uint8, float16 or float, each as a tensor.")
    table = model.description.input
    _check_shape(model, table, found.shape)
    preprocessing = Preprocessing(
        *table.size,
        fit=table.resize,
        crop_fraction=table.crop_fraction,
        resampling=_RESAMPLINGS[table.resampling],
        layout=table.layout,
        colour=table.colour,
        dtype=_DTYPES[found.type],
        scale=table.scale,
        mean=table.mean,
        std=table.std,
        is_batch=len(found.shape) == _BATCHED,
    )
    return preprocessing, found.name


def _check_shape(model: DescribedModel[Described], table: InputTable, shape: list[int | str | None]) -> None:
    """Raise unless the input has the size that is described. An axis with a name, or none, takes any size."""
    height, width = table.size
    axes: list[object] = [height, width, _CHANNELS] if table.layout == "nhwc" else [_CHANNELS, height, width]
    wanted = [1, *axes] if len(shape) == _BATCHED else axes
    fits = len(shape) == len(wanted) and all(
        not isinstance(side, int) or side == size for side, size in zip(shape, wanted, strict=True)
    )
    if not fits:
        raise model.error(
            f"The model takes {_shape(shape)}, but [input] describes {_shape(wanted)}. Correct size or layout."
        )


def _output_names(
    model: DescribedModel[Described], session: onnxruntime.InferenceSession, names: tuple[str, ...], count: int
) -> tuple[str, ...]:
    outputs = session.get_outputs()
    known = [output.name for output in outputs]
    if missing := [name for name in names if name not in known]:
        raise model.error(f'The model has no output "{missing[0]}". It has {_listed(outputs)}.')
    if not names and len(known) != count:
        raise model.error(
            f"The model has {len(known)} outputs, {_listed(outputs)}; {count} needed. Name them in [output]."
        )
    return names or tuple(known)


def _tried(model: DescribedModel[Described], network: Network) -> Outputs:
    """Return the outputs for a grey picture; they are numbers."""
    size = network.preprocessing.width, network.preprocessing.height
    try:
        outputs = network.run(Picture(Image.new("RGB", size, _GREY), UPRIGHT, *size))
    except Exception as error:
        raise model.error(f"The model fails on a grey picture. {_words(error)}") from error
    for name, values in zip(network.output_names or (), outputs, strict=True):
        if not (isinstance(values, np.ndarray) and values.dtype.kind in "fiu" and np.isfinite(values).all()):
            raise model.error(f'The output "{name}" for a grey picture has something that is no number.')
    return outputs


def _check_values(model: DescribedModel[ClassifierDescription], values: NDArray[Any]) -> None:
    """Raise unless these are the numbers of a classifier with these labels."""
    kind, count = model.description.output.values, len(model.class_names)
    if values.size != count:
        raise model.error(f"The model has {values.size:,} classes, {model.description.labels} names {count:,}.")
    if kind in _RATIOS and not _are_ratios(values):
        raise model.error(f"The model answers {_range(values)}: {kind} go from 0 to 1. Try logits.")
    if kind == "probabilities" and abs(values.sum() - 1) > _SUM_TOLERANCE:
        raise model.error(f"What the model answers adds up to {values.sum():.4g}, probabilities to 1. Try scores.")


def _check_boxes(model: DescribedModel[DetectorDescription], reader: OutputReader, outputs: Outputs) -> None:
    """Raise unless these are the outputs of a detector with these labels."""
    output, count = model.description.output, len(model.class_names)
    try:
        boxes, scores = reader.boxes_and_scores(outputs)
    except ValueError as error:
        shapes = ", ".join(_shape(values.shape) for values in outputs)
        labels = f"{count:,} labels of {model.description.labels}"
        raise model.error(f"The model answers {shapes}, which is not {output.layout} for the {labels}.") from error
    if not _are_ratios(scores):
        raise model.error(f"The model's scores are {_range(scores)}; scores go from 0 to 1. Try score_logits.")
    largest = np.abs(boxes).max(initial=0)
    if output.units == "ratios" and largest > _LARGEST_RATIO:
        raise model.error(f'The boxes reach to {largest:,.4g}, so they are no ratios. Try: units = "pixels"')
    if output.units == "pixels" and 0 < largest < _SMALLEST_PIXELS:
        raise model.error(f'The boxes reach only to {largest:.4g}, so they are no pixels. Try: units = "ratios"')


def _activation(output: ClassifierOutput) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Return what turns the values of a classifier into probabilities, or into independent scores."""

    def activate(values: NDArray[Any]) -> NDArray[np.float64]:
        if not np.isfinite(values).all():
            raise RecognitionFailed("The own classifier answered something that is no number.")
        logits = _LOGITS[output.values](values.astype(np.float64))
        return softmax(logits, output.temperature) if output.is_exclusive else sigmoid(logits / output.temperature)

    return activate


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probabilities, _TINY, 1)))


def _log_odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return _log(scores) - _log(1 - scores)


# Temperature divides logits, so what is past its softmax or sigmoid is taken back before it.
_LOGITS: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "logits": np.asarray,
    "probabilities": _log,
    "score_logits": np.asarray,
    "scores": _log_odds,
}


def _are_ratios(values: NDArray[Any]) -> bool:
    return bool(values.min(initial=0) >= -_TOLERANCE and values.max(initial=1) <= 1 + _TOLERANCE)


def _range(values: NDArray[Any]) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def _shape(shape: Sequence[object]) -> str:
    return f"[{', '.join('any' if side is None else str(side) for side in shape)}]"


def _listed(nodes: Sequence[Any]) -> str:
    return ", ".join(node.name for node in nodes)
