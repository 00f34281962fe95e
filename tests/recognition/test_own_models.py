"""Own models: tiny ones with known answers, and everything that may not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from lumitag.domain import Label
from lumitag.errors import InvalidModel, RecognitionFailed
from lumitag.recognition import own_models
from lumitag.recognition.embedded import EmbeddedRecognizer
from tests.recognition.own_models import (
    COLOURS,
    HEIGHT,
    WIDTH,
    colour_classifier,
    constant_model,
    save_model,
    serialized,
)
from tests.recognition.pictures import file_of

GREEN = file_of(Image.new("RGB", (120, 100), (0, 255, 0)), "PNG")


def labels_of(content: bytes, **models: Path) -> dict[str, Label]:
    """Return what a recognizer with these own models says, by name."""
    recognizer = EmbeddedRecognizer.load(floor_percent=1, **models)  # type: ignore[arg-type]
    return {label.name: label for label in recognizer.recognize(content).labels}


@pytest.mark.parametrize("values", ["logits", "probabilities", "score_logits", "scores"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_classifier_answers_as_its_description_says(tmp_path: Path, values: str, layout: str) -> None:
    model = save_model(
        tmp_path, colour_classifier(values, layout), inputs=f'layout = "{layout}"', output=f'values = "{values}"'
    )
    labels = labels_of(GREEN, classifier_model=model)

    sure, unsure = np.exp(8.0), 1.0
    expected = sure / (sure + 2 * unsure) if values in {"logits", "probabilities"} else sure / (sure + 1)
    assert labels["Emerald"].confidence == pytest.approx(expected * 100, abs=0.05)
    others = [labels[name].confidence for name in ("Scarlet", "Azure") if name in labels]
    assert others == ([] if values in {"logits", "probabilities"} else [50.0, 50.0])


@pytest.mark.parametrize(
    ("dtype", "gain", "inputs"),
    [
        ("uint8", 8 / 255, ""),
        ("float16", 8.0, ""),
        ("float32", 8 / 255, "scale = 1"),
        ("float32", 4.0, "mean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]"),
    ],
)
def test_every_type_gets_its_numbers(tmp_path: Path, dtype: str, gain: float, inputs: str) -> None:
    model = save_model(tmp_path, colour_classifier(dtype=dtype, gain=gain), inputs=inputs)

    assert labels_of(GREEN, classifier_model=model)["Emerald"].confidence > 99


def test_blue_may_come_first(tmp_path: Path) -> None:
    model = save_model(tmp_path, colour_classifier(), inputs='colour = "bgr"')
    red = file_of(Image.new("RGB", (100, 100), (255, 0, 0)), "PNG")

    assert labels_of(red, classifier_model=model)["Azure"].confidence > 99


@pytest.mark.parametrize("shape", [["n", 3, HEIGHT, WIDTH], [1, 3, None, None], [3, HEIGHT, WIDTH], [3, "h", "w"]])
def test_axes_may_be_open_and_the_batch_missing(tmp_path: Path, shape: list[Any]) -> None:
    model = save_model(tmp_path, colour_classifier(shape=shape))

    assert labels_of(GREEN, classifier_model=model)["Emerald"].confidence > 99


@pytest.mark.parametrize("values", ["logits", "probabilities", "scores"])
def test_a_temperature_softens_whatever_the_values_are(tmp_path: Path, values: str) -> None:
    model = save_model(tmp_path, colour_classifier(values), output=f'values = "{values}"\ntemperature = 4')

    others = 1 if values == "scores" else 2
    expected = np.exp(2.0) / (np.exp(2.0) + others) * 100
    assert labels_of(GREEN, classifier_model=model)["Emerald"].confidence == pytest.approx(expected, abs=0.1)


def test_known_names_are_concepts_and_others_are_labels_of_their_own(tmp_path: Path) -> None:
    """By name, alias or id, whatever the case; parents come with them."""
    dog = save_model(
        tmp_path, colour_classifier(), ["Emerald Ring", "golden_RETRIEVER", "n02123045"], top='category = "Shop"'
    )

    labels = labels_of(GREEN, classifier_model=dog)

    assert labels["Golden Retriever"].confidence > 99
    assert {"Dog", "Animal"} <= set(labels["Golden Retriever"].parents)
    assert labels["Dog"].confidence >= labels["Golden Retriever"].confidence
    red = labels_of(file_of(Image.new("RGB", (99, 99), (255, 0, 0)), "PNG"), classifier_model=dog)
    assert (red["Emerald Ring"].concept, red["Emerald Ring"].categories) == ("own:emerald_ring", ("Shop",))


def test_probabilities_of_one_parent_are_added_and_scores_are_not(tmp_path: Path) -> None:
    names = ["Tabby", "Golden Retriever", "Beagle"]
    grey = file_of(Image.new("RGB", (100, 100), (128, 128, 128)), "PNG")
    added = labels_of(grey, classifier_model=save_model(tmp_path / "a", colour_classifier(), names))
    scores = save_model(tmp_path / "b", colour_classifier("scores", gain=2), names, output='values = "scores"')
    surest = labels_of(grey, classifier_model=scores)

    assert added["Dog"].confidence == pytest.approx(200 / 3, abs=0.01)
    assert surest["Dog"].confidence == surest["Beagle"].confidence == pytest.approx(73.2, abs=0.1)


def test_a_list_may_send_a_name_to_a_concept_or_to_nothing(tmp_path: Path) -> None:
    model = save_model(tmp_path, colour_classifier())
    model.write_text(model.read_text().replace("labels.txt", "labels.csv"))
    (tmp_path / "labels.csv").write_text("name,concept\n-,\nMoggy,Cat\n-,\n")

    labels = labels_of(GREEN, classifier_model=model)

    assert labels["Cat"].confidence > 99
    assert "Moggy" not in labels


def test_a_concept_that_there_is_not_is_refused_with_its_line(tmp_path: Path) -> None:
    model = save_model(tmp_path, colour_classifier())
    model.write_text(model.read_text().replace("labels.txt", "labels.csv"))
    (tmp_path / "labels.csv").write_text("name,concept\nA,\nB,Catt\nC,\n")

    with pytest.raises(InvalidModel, match=r'labels\.csv, line 3: There is no concept "Catt"'):
        labels_of(GREEN, classifier_model=model)


BOX_OUTPUT = 'box = "xyxy"\nunits = "pixels"\n'


def detector(folder: Path, outputs: dict[str, NDArray[Any]], output: str, **more: Any) -> Path:
    names = more.pop("names", ("Scarlet", "Cat"))
    return save_model(folder, constant_model(outputs), names, kind="detector", output=output, **more)


def boxes_of(label: Label) -> list[tuple[float, ...]]:
    return [
        (box.left, box.top, box.left + box.width, box.top + box.height)
        for box in (instance.bounding_box for instance in label.instances)
    ]


def floats(*values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


LAYOUTS = {
    "boxes_scores_classes": {
        "boxes": floats([[8, 4, 24, 12], [0, 0, 0, 0]]),
        "scores": floats([0.75, 0.0]),
        "classes": floats([1.0, -1.0]),
    },
    "boxes_scores": {
        "boxes": floats([[8, 4, 24, 12], [0, 0, 32, 16]]),
        "scores": floats([[0.0, 0.75], [0.01, 0.02]]),
    },
    "yolo": {"rows": floats([[8, 4, 24, 12, 0, 0.75], [0, 0, 32, 16, 0.01, 0.02], [1, 1, 2, 2, 0, 0]])},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_detector_answers_as_its_description_says(tmp_path: Path, layout: str) -> None:
    model = detector(tmp_path, LAYOUTS[layout], f'{BOX_OUTPUT}layout = "{layout}"')

    cat = labels_of(GREEN, detector_model=model)["Cat"]

    assert [instance.confidence for instance in cat.instances] == [75.0]
    assert boxes_of(cat) == [pytest.approx((0.25, 0.25, 0.75, 0.75))]


def test_boxes_in_a_letterbox_are_boxes_of_the_picture(tmp_path: Path) -> None:
    """The input is 32 x 16; a square picture fills its middle half."""
    square = file_of(Image.new("RGB", (100, 100), (0, 255, 0)), "PNG")
    model = detector(tmp_path, LAYOUTS["yolo"], f'{BOX_OUTPUT}layout = "yolo"', inputs='resize = "letterbox"')

    assert boxes_of(labels_of(square, detector_model=model)["Cat"]) == [pytest.approx((0, 0.25, 1, 0.75))]


def test_outputs_are_found_by_name(tmp_path: Path) -> None:
    outputs = {
        "number": floats([1.0]),
        **{name: LAYOUTS["boxes_scores_classes"][name] for name in ("classes", "scores", "boxes")},
    }
    names = 'names = ["boxes", "scores", "classes"]'
    model = detector(tmp_path, outputs, f'{BOX_OUTPUT}layout = "boxes_scores_classes"\n{names}')

    assert boxes_of(labels_of(GREEN, detector_model=model)["Cat"]) == [pytest.approx((0.25, 0.25, 0.75, 0.75))]


def test_both_models_may_be_own_and_share_a_label(tmp_path: Path) -> None:
    classifier = save_model(tmp_path / "c", colour_classifier())
    found = detector(tmp_path / "d", LAYOUTS["yolo"], f'{BOX_OUTPUT}layout = "yolo"', names=("Cat", "EMERALD"))

    labels = labels_of(GREEN, classifier_model=classifier, detector_model=found)

    assert list(labels) == ["Emerald"]
    assert labels["Emerald"].confidence > 99
    assert len(labels["Emerald"].instances) == 1


def test_an_own_label_may_be_changed_by_the_labels_file(tmp_path: Path) -> None:
    changes = tmp_path / "labels.toml"
    changes.write_text('[labels.Emerald]\nparents = ["Plant"]\n')

    labels = labels_of(GREEN, classifier_model=save_model(tmp_path / "m", colour_classifier()), labels_file=changes)

    assert labels["Emerald"].parents == ("Plant",)
    assert labels["Plant"].confidence > 99


def test_the_model_version_changes_with_an_own_model(tmp_path: Path) -> None:
    versions = {EmbeddedRecognizer.load().model_version}
    for gain in (1, 2):
        model = save_model(tmp_path / str(gain), colour_classifier(gain=gain))
        versions.add(EmbeddedRecognizer.load(classifier_model=model).model_version)

    assert len(versions) == 3


def refused(model: Path, words: str, kind: str = "classifier_model") -> None:
    with pytest.raises(InvalidModel, match=words) as caught:
        EmbeddedRecognizer.load(**{kind: model})  # type: ignore[arg-type]
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"hello", "no ONNX file, or damaged"),
        (b"", "no ONNX file, or damaged"),
        (colour_classifier()[:-20], "no ONNX file, or damaged"),
        (constant_model({"a": floats([1, 2, 3])}, inputs=2), "2 inputs, image, image1"),
        (constant_model({"a": floats([1]), "b": floats([1])}), r"2 outputs, a, b; 1 needed\. Name them"),
        (constant_model({"a": floats([1, 2])}), r"2 classes, labels\.txt names 3"),
        (constant_model({"a": floats([1, np.nan, 3])}), '"a" for a grey picture .* no number'),
        (constant_model({"a": np.array(["x", "y", "z"])}), '"a" for a grey picture .* no number'),
        (constant_model({"a": floats([1, 2, 3])}, dtype=TensorProto.INT64), r"takes tensor\(int64\)"),
        (colour_classifier(layout="nhwc"), r"takes \[1, 16, 32, 3\], but \[input\] describes \[1, 3, 16, 32\]"),
        (colour_classifier(shape=[1, 1, HEIGHT, WIDTH]), r"takes \[1, 1, 16, 32\]"),
        (colour_classifier(shape=["n", 3, 8, 8]), r"takes \[n, 3, 8, 8\]"),
        (colour_classifier(shape=[2, 3, None, None]), r"takes \[2, 3, any, any\]"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused_in_words(tmp_path: Path, model: bytes, words: str) -> None:
    refused(save_model(tmp_path, model), words)


def test_an_input_of_two_axes_is_no_picture(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, 3])
    model = serialized([helper.make_node("Identity", ["image"], ["answer"])], [image], [answer], {})

    refused(save_model(tmp_path, model), r"takes \[1, 3\], but")


@pytest.mark.parametrize(
    ("answer", "values", "words"),
    [
        ([-1, 0, 3], "scores", "answers -1 to 3: scores go from 0 to 1"),
        ([0, 0, 3], "probabilities", "answers 0 to 3: probabilities go from 0 to 1"),
        ([1, 1, 0], "probabilities", "adds up to 2, probabilities to 1"),
    ],
)
def test_values_of_another_kind_are_noticed(tmp_path: Path, answer: list[float], values: str, words: str) -> None:
    refused(save_model(tmp_path, constant_model({"a": floats(answer)}), output=f'values = "{values}"'), words)


def test_an_output_that_there_is_not_is_refused(tmp_path: Path) -> None:
    refused(save_model(tmp_path, colour_classifier(), output='values = "logits"\nname = "x"'), 'no output "x".* answer')


@pytest.mark.parametrize(
    ("outputs", "output", "words"),
    [
        ({"a": floats([[1, 2, 3]])}, 'layout = "yolo"', r"answers \[1, 1, 3\], which is not yolo for the 2 labels"),
        ({"a": floats([1])}, 'layout = "yolo"', "which is not yolo"),
        ({"a": floats([1])}, 'layout = "boxes_scores"', "1 outputs, a; 2 needed"),
        (
            LAYOUTS["boxes_scores"],
            'layout = "boxes_scores_classes"\nnames = ["boxes", "boxes", "scores"]',
            "is not boxes",
        ),
        ({"a": floats([[0, 0, 9, 9, -3, 4]])}, 'layout = "yolo"', "scores are -3 to 4.*score_logits"),
        ({"a": floats([[0, 0, 0.9, 0.9, 0, 0.5]])}, 'layout = "yolo"', 'only to 0.9.*units = "ratios"'),
        ({"a": floats([[0, 0, 90, 90, 0, 0.5]])}, 'layout = "yolo"\nunits = "ratios"', 'to 90.*units = "pixels"'),
    ],
)
def test_a_detector_that_does_not_fit_is_refused_in_words(
    tmp_path: Path, outputs: dict[str, NDArray[Any]], output: str, words: str
) -> None:
    units = "" if "units" in output else 'units = "pixels"\n'
    refused(detector(tmp_path, outputs, f'box = "xyxy"\n{units}{output}'), words, "detector_model")


def one_node(operator: str, domain: str = "", opset: int = 13) -> bytes:
    shape = [1, 3, HEIGHT, WIDTH]
    image, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "answer"))
    node = helper.make_node(operator, ["image"], ["answer"], domain=domain)
    return serialized([node], [image], [answer], {}, opset=opset)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (one_node("Run", "evil.ops"), "operator that ONNX Runtime does not have, and none is ever loaded"),
        (one_node("NoSuch"), "operator that ONNX Runtime does not have"),
        (one_node("Relu", opset=999), "newer than ONNX Runtime"),
    ],
)
def test_only_operators_of_onnx_runtime_are_known(tmp_path: Path, model: bytes, words: str) -> None:
    refused(save_model(tmp_path, model), words)


@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "{folder}/weights.bin", "*/_ORT_MEM_ADDR_/*"])
def test_weights_in_other_files_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    """Not from the folder of the model, nor from the working folder, nor from anywhere else."""
    (tmp_path / "model").mkdir()
    for folder in (tmp_path, tmp_path / "model"):
        (folder / "weights.bin").write_bytes(np.ones(3, np.float32).tobytes())
    monkeypatch.chdir(tmp_path / "model")

    refused(save_model(tmp_path / "model", with_weights_in(location.format(folder=tmp_path))), "one file|says")


def with_weights_in(location: str) -> bytes:
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "12"}.items():
        tensor.external_data.add(key=key, value=value)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, [3])
    return serialized([helper.make_node("Identity", ["weights"], ["answer"])], [image], [answer], {}, tensors=[tensor])


def test_a_model_that_fails_while_it_runs_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["answer"])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, None, None])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)

    refused(
        save_model(tmp_path, serialized(nodes, [image], [answer], {"shape": np.array([7, 7])})),
        "fails on a grey picture. ONNX Runtime says",
    )


def test_a_model_that_needs_too_much_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(own_models, "open_session", exhaust)

    refused(save_model(tmp_path, colour_classifier()), "LUMITAG_RECOGNIZER_MEMORY_BYTES")


def test_an_answer_that_is_no_number_fails_the_image_and_is_no_label(tmp_path: Path) -> None:
    """A grey picture gives numbers, a black one 0 / 0."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Div", ["means", "means"], ["answer"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    model = save_model(tmp_path, serialized(nodes, [image], [answer], {}))

    with pytest.raises(RecognitionFailed, match="no number"):
        labels_of(file_of(Image.new("RGB", (100, 100)), "PNG"), classifier_model=model)


def test_loading_writes_nothing(tmp_path: Path) -> None:
    model = save_model(tmp_path, colour_classifier())
    before = sorted(tmp_path.iterdir())

    EmbeddedRecognizer.load(classifier_model=model)

    assert sorted(tmp_path.iterdir()) == before
    assert set(COLOURS) <= {
        concept.name for concept in EmbeddedRecognizer.load(classifier_model=model).taxonomy.concepts
    }
