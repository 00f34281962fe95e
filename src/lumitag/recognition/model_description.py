"""The description of an own model: a small TOML file beside an ONNX file and a list of labels.

Only text is read here, so that a wrong description is told apart from a wrong model before any process is started.
docs/own-models.md explains every key to people.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from lumitag.errors import InvalidModel
from lumitag.recognition.labels_file import MAX_NAME_LENGTH

NO_CLASS: Final = "-"  # in a list of labels: an output that is never a label, such as a background

MORE_MEMORY: Final = "It needs more memory than a recognizer process gets. Raise LUMITAG_RECOGNIZER_MEMORY_BYTES."

_MAX_MODEL_BYTES: Final = 1_000_000_000
_MAX_TEXT_BYTES: Final = 10_000_000
_MAX_SIDE: Final = 4096
_CSV_COLUMNS: Final = ("name", "concept")


def _beside(value: object) -> object:
    """Accept the path of a file in the folder of the description or below it."""
    path = PurePath(value) if isinstance(value, str) else PurePath("/")
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise ValueError("it must name a file in the folder of this description")
    return value


_FileName = Annotated[str, BeforeValidator(_beside)]
_Channels = tuple[float, float, float]
_Side = Annotated[int, Field(ge=8, le=_MAX_SIDE)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputTable(_Table):
    """What the model takes. Every attribute is a key of `[input]`.

    Attributes:
        size: height and width, in pixels.
        layout: the order of the axes.
        colour: the order of the channels.
        scale, mean, std: a model of floats gets `(pixel * scale - mean) / std`.
        resize: how a picture is made to fit; `lumitag.recognition.preprocessing.Fit`.
        crop_fraction: of the largest middle; only for `resize = "crop"`.
        resampling: the filter.
    """

    size: tuple[_Side, _Side]
    layout: Literal["nchw", "nhwc"] = "nchw"
    colour: Literal["rgb", "bgr"] = "rgb"
    scale: _Positive = 1 / 255
    mean: tuple[_Finite, _Finite, _Finite] = (0.0, 0.0, 0.0)
    std: tuple[_Positive, _Positive, _Positive] = (1.0, 1.0, 1.0)
    resize: Literal["squeeze", "crop", "letterbox", "letterbox_corner"] = "squeeze"
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    resampling: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"

    @model_validator(mode="after")
    def _crop_only_where_it_counts(self) -> InputTable:
        if self.crop_fraction != 1 and self.resize != "crop":
            raise ValueError('crop_fraction counts only with resize = "crop"')
        return self


class ClassifierOutput(_Table):
    """What a classifier answers. Every attribute is a key of `[output]`.

    Attributes:
        values: `probabilities` exclude each other, `logits` are the same before the softmax; `scores` are independent
            of each other, `score_logits` the same before the sigmoid.
        temperature: logits are divided by it; below 1 sharpens, above 1 softens.
        name: of the output, where there are several.
    """

    values: Literal["logits", "probabilities", "score_logits", "scores"]
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    name: str | None = None

    @property
    def is_exclusive(self) -> bool:
        """Whether exactly one class is true, so that probabilities of several may be added."""
        return self.values in {"logits", "probabilities"}


class DetectorOutput(_Table):
    """What a detector answers. Every attribute is a key of `[output]`.

    Attributes:
        layout: `boxes_scores_classes`: three outputs, overlapping boxes are gone already;
            `boxes_scores`: two outputs, a score for each class; `yolo`: one output with both.
        values: `scores`, 0 to 1; or `score_logits`, the same before the sigmoid.
        objectness: whether a score of the box precedes those of its classes; only for `yolo`.
        box: what its four numbers are.
        units: pixels of the input, or ratios of it.
        min_score: less certain boxes are dropped.
        max_overlap: of boxes of one class that overlap by more, the best is kept; 1 keeps all.
        names: of the outputs, in the order of the layout.
    """

    layout: Literal["boxes_scores_classes", "boxes_scores", "yolo"]
    values: Literal["scores", "score_logits"] = "scores"
    objectness: bool = False
    box: Literal["xyxy", "yxyx", "cxcywh"]
    units: Literal["pixels", "ratios"]
    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.05
    max_overlap: Annotated[float, Field(gt=0, le=1)] = 0.6
    names: tuple[str, ...] = ()

    @property
    def output_count(self) -> int:
        """How many outputs the layout has."""
        return {"boxes_scores_classes": 3, "boxes_scores": 2, "yolo": 1}[self.layout]

    @model_validator(mode="after")
    def _fits_together(self) -> DetectorOutput:
        if self.objectness and self.layout != "yolo":
            raise ValueError('objectness is known only to layout = "yolo"')
        if self.names and len(self.names) != self.output_count:
            raise ValueError(f"{self.layout} has {self.output_count} outputs, names lists {len(self.names)}")
        return self


class _Description(_Table):
    model: _FileName
    labels: _FileName
    category: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)] = "Other"
    input: InputTable


class ClassifierDescription(_Description):
    """The whole file, for a classifier."""

    kind: Literal["classifier"]
    output: ClassifierOutput


class DetectorDescription(_Description):
    """The whole file, for a detector."""

    kind: Literal["detector"]
    output: DetectorOutput


Described = TypeVar("Described", ClassifierDescription, DetectorDescription)


@dataclass(frozen=True, slots=True)
class ClassName:
    """What an output of a model is called.

    Attributes:
        name: of the label; `-` if the output is none.
        concept: id, name or alias in the vocabulary of what is meant, if the name does not say it.
        line: of the list of labels, from 1.
    """

    name: str
    concept: str = ""
    line: int = 0


@dataclass(frozen=True)
class DescribedModel(Generic[Described]):
    """A description that is valid in itself, with the contents of the files that it names.

    Attributes:
        path: of the description.
        description: what it says.
        model: the content of the ONNX file.
        class_names: what each output is called, in their order.
        digest: of all three files, hexadecimal.
    """

    path: Path
    description: Described
    model: bytes
    class_names: tuple[ClassName, ...]
    digest: str

    def error(self, problem: str) -> InvalidModel:
        """Return the error that says what is wrong, and which file says so."""
        return InvalidModel(f"{self.path}: {problem}")

    def label_error(self, line: int, problem: str) -> InvalidModel:
        """Return the error for a line of the list of labels."""
        return InvalidModel(f"{self.path.parent / self.description.labels}, line {line}: {problem}")


def read_model(path: Path, form: type[Described]) -> DescribedModel[Described]:
    """Return the model that a description of this form describes.

    Raises InvalidModel for whatever can be said without looking into the ONNX graph.
    """
    text = _read(path, _MAX_TEXT_BYTES)
    description = _parsed(path, text, form)
    model = _read(path.parent / description.model, _MAX_MODEL_BYTES)
    _refuse_other_formats(path.parent / description.model, model)
    labels = _read(path.parent / description.labels, _MAX_TEXT_BYTES)
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (text, model, labels))).hexdigest()
    return DescribedModel(path, description, model, _class_names(path.parent / description.labels, labels), digest)


def _read(path: Path, max_bytes: int) -> bytes:
    if not path.is_file():
        raise InvalidModel(f"There is no file {path}. Correct its name.")
    try:
        if path.stat().st_size > max_bytes:
            raise InvalidModel(f"{path} has more than {max_bytes:,} bytes. Nothing larger is loaded.")
        return path.read_bytes()
    except OSError as error:
        raise InvalidModel(f"{path} cannot be read: {error.strerror}.") from error
    except MemoryError as error:
        raise InvalidModel(f"{path} is too large. {MORE_MEMORY}") from error


def _parsed(path: Path, content: bytes, form: type[Described]) -> Described:
    try:
        return form.model_validate(tomllib.loads(content.decode("utf-8-sig")))
    except UnicodeDecodeError:
        problem = "This is no text. Name the description of the model, a TOML file, and not the model itself."
    except tomllib.TOMLDecodeError as error:
        problem = f"This is not valid TOML: {error}."
    except ValidationError as error:
        problem = f"{'; '.join(map(_words, error.errors()))}. See docs/own-models.md."
    raise InvalidModel(f"{path}: {problem}")


def _words(problem: ErrorDetails) -> str:
    key = ".".join(map(str, problem["loc"]))
    known = {"missing": f"{key} is missing", "extra_forbidden": f"there is no key {key}"}
    return known.get(problem["type"]) or f"{key}: {problem['msg'].removeprefix('Value error, ')}"


# How other kinds of model files begin. Some of them are programs that run when they are opened: none ever is.
_OTHER_FORMATS: Final = (
    (0, b"PK\x03\x04", "a PyTorch or Keras archive"),
    (0, b"\x80", "a Python pickle, as PyTorch and scikit-learn write"),
    (0, b"\x89HDF", "a Keras file"),
    (4, b"TFL3", "a TensorFlow Lite file"),
    (4, b"ORTM", "a file in ONNX Runtime's own format"),
    (8, b'{"', "a safetensors file, which has weights but no graph"),
    (0, b"version https://git-lfs", 'a pointer that Git LFS left; run "git lfs pull"'),
)


def _refuse_other_formats(path: Path, model: bytes) -> None:
    for offset, signature, name in _OTHER_FORMATS:
        if model[offset:].startswith(signature):
            raise InvalidModel(f"{path} is {name}. Lumitag takes only ONNX: export the model to it.")


def _class_names(path: Path, content: bytes) -> tuple[ClassName, ...]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidModel(f"{path}, line {line}: This is not UTF-8. Save the file as UTF-8.") from error
    names = tuple(_csv_names(path, text) if path.suffix.casefold() == ".csv" else _plain_names(text))
    if not any(name.name != NO_CLASS for name in names):
        raise InvalidModel(f"{path} names no label. Write one a line, in the order of the model's outputs.")
    for name in names:
        _check_name(path, name)
    return names


def _plain_names(text: str) -> Iterable[ClassName]:
    """What follows a comma are synonyms, as in the lists of ImageNet."""
    lines = enumerate(text.rstrip().split("\n"), 1)
    return (ClassName(line.partition(",")[0].strip(), line=number) for number, line in lines)


def _csv_names(path: Path, text: str) -> Iterable[ClassName]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if tuple(next(rows, ())) != _CSV_COLUMNS:
            raise InvalidModel(f"{path}, line 1: A CSV file of labels begins with the line: name,concept")
        return [_csv_name(path, rows.line_num, *map(str.strip, row)) for row in rows]
    except csv.Error as error:
        raise InvalidModel(f"{path}, line {rows.line_num}: This is no CSV: {error}.") from error


def _csv_name(path: Path, line: int, name: str = "", concept: str = "", *more: str) -> ClassName:
    if more:
        raise InvalidModel(f"{path}, line {line}: There are more than two columns. Put a name with a comma in quotes.")
    return ClassName(name, concept, line)


def _check_name(path: Path, name: ClassName) -> None:
    """Raise unless the name fits into a line of text, a cell of a table and a list of names."""
    if not name.name:
        raise InvalidModel(f'{path}, line {name.line}: The line is empty. Write a name, or "{NO_CLASS}" for none.')
    if len(name.name) > MAX_NAME_LENGTH or ";" in name.name or not name.name.isprintable():
        problem = f"A name has at most {MAX_NAME_LENGTH} characters, no semicolon and no control character"
        raise InvalidModel(f"{path}, line {name.line}: {problem}. Correct it.")
