"""The description of an own model is read strictly, and says what is wrong where."""

import re
from pathlib import Path

import pytest

from lumitag.errors import InvalidModel
from lumitag.recognition import model_description
from lumitag.recognition.model_description import (
    ClassifierDescription,
    ClassifierOutput,
    ClassName,
    DescribedModel,
    DetectorDescription,
    DetectorOutput,
    InputTable,
    read_model,
)
from tests.recognition.own_models import save_model

MODEL = b"not looked into here"


def read(path: Path) -> DescribedModel[ClassifierDescription]:
    return read_model(path, ClassifierDescription)


def test_the_descriptions_in_the_documentation_are_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "own-models.md").read_text(encoding="utf-8")
    classifier, detector = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    path = save_model(tmp_path, MODEL)

    path.write_text(classifier)
    assert read_model(path, ClassifierDescription).description.input.crop_fraction == 0.875
    path.write_text(detector)
    assert read_model(path, DetectorDescription).description.output.layout == "yolo"


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "own-models.md").read_text(encoding="utf-8")
    tables = (ClassifierDescription, DetectorDescription, InputTable, ClassifierOutput, DetectorOutput)
    keys = {key for table in tables for key in table.model_fields} - {"input", "output"}

    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []


def test_what_is_left_out_has_the_documented_default(tmp_path: Path) -> None:
    described = read(save_model(tmp_path, MODEL, ["Cat", "Dog"]))

    table = described.description.input
    assert (table.size, table.layout, table.colour, table.resize) == ((16, 32), "nchw", "rgb", "squeeze")
    assert (table.scale, table.mean, table.std) == (1 / 255, (0, 0, 0), (1, 1, 1))
    assert described.description.category == "Other"
    assert described.model == MODEL
    assert described.class_names == (ClassName("Cat", line=1), ClassName("Dog", line=2))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"top": "colour = 1"}, "there is no key colour"),
        ({"inputs": 'resize = "stretch"'}, r"input\.resize: Input should be 'squeeze'"),
        ({"inputs": "mean = [0.5]"}, r"input\.mean\.1 is missing"),
        ({"inputs": "std = [0, 1, 1]"}, r"input\.std\.0: .* greater than 0"),
        ({"inputs": "scale = inf"}, r"input\.scale: .* finite"),
        ({"inputs": "crop_fraction = 0.9"}, r'input: crop_fraction counts only with resize = "crop"'),
        ({"size": (0, 5)}, r"input\.size\.0: .* 8; input\.size\.1: .* 8"),
        ({"output": ""}, r"output\.values is missing"),
        ({"output": 'values = "guesses"'}, r"output\.values: Input should be 'logits'"),
        ({"kind": "detector"}, "kind: Input should be 'classifier'"),
        ({"top": 'category = ""'}, "category"),
        ({"top": "]"}, r"This is not valid TOML: .*line 4"),
    ],
)
def test_a_wrong_description_is_refused_in_words(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidModel, match=rf"model\.toml: .*{words}"):
        read(save_model(tmp_path, MODEL, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ('layout = "yolo"', r"output\.box is missing; output\.units is missing"),
        ('layout = "boxes_scores"\nobjectness = true', "objectness is known only"),
        ('layout = "boxes_scores"\nnames = ["a"]', "boxes_scores has 2 outputs, names lists 1"),
    ],
)
def test_a_wrong_detector_is_refused_in_words(tmp_path: Path, output: str, words: str) -> None:
    box = "" if output == 'layout = "yolo"' else '\nbox = "xyxy"\nunits = "pixels"'

    with pytest.raises(InvalidModel, match=words):
        read_model(save_model(tmp_path, MODEL, kind="detector", output=output + box), DetectorDescription)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/../../b", ""])
@pytest.mark.parametrize("key", ["model", "labels"])
def test_files_lie_in_the_folder_of_the_description(tmp_path: Path, key: str, name: str) -> None:
    path = save_model(tmp_path / "inside", MODEL)
    lines = [line for line in path.read_text().splitlines() if not line.startswith(f"{key} =")]
    path.write_text("\n".join([f'{key} = "{name}"', *lines]))

    with pytest.raises(InvalidModel, match=f"{key}: it must name a file in the folder"):
        read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04...", "PyTorch or Keras archive"),
        (b"\x80\x04\x95...", "Python pickle"),
        (b"\x89HDF\r\n\x1a\n", "Keras file"),
        (b"\x1c\0\0\0TFL3....", "TensorFlow Lite"),
        (b"\x1c\0\0\0ORTM....", "ONNX Runtime's own format"),
        (b"\x10\0\0\0\0\0\0\0" + b'{"weight":', "safetensors"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)
def test_other_kinds_of_model_files_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InvalidModel, match=rf"model\.onnx is .*{words}.*only ONNX"):
        read(save_model(tmp_path, content))


@pytest.mark.parametrize("name", ["model.toml", "model.onnx", "labels.txt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    path = save_model(tmp_path, MODEL)
    (tmp_path / name).unlink()

    with pytest.raises(InvalidModel, match=f"There is no file .*{name}"):
        read(path)


def test_the_model_itself_is_no_description(tmp_path: Path) -> None:
    save_model(tmp_path, b"\xff\xfe")

    with pytest.raises(InvalidModel, match=r"model\.onnx: This is no text\. Name the description"):
        read(tmp_path / "model.onnx")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_description, "_MAX_MODEL_BYTES", 10)

    with pytest.raises(InvalidModel, match="more than 10 bytes"):
        read(save_model(tmp_path, MODEL))


@pytest.mark.parametrize(
    ("error", "words"), [(PermissionError(13, "Permission denied"), "Permission denied"), (MemoryError(), "MEMORY")]
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    path = save_model(tmp_path, MODEL)

    def refuse(_: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", refuse)

    with pytest.raises(InvalidModel, match=rf"model\.toml .*{words}"):
        read(path)


def names(path: Path) -> list[tuple[str, str]]:
    return [(name.name, name.concept) for name in read(path).class_names]


def test_synonyms_behind_a_comma_and_ends_of_windows_lines_are_left_out(tmp_path: Path) -> None:
    path = save_model(tmp_path, MODEL, ["tench, Tinca tinca\r", " goldfish\r", "-"])

    assert names(path) == [("tench", ""), ("goldfish", ""), ("-", "")]


def in_csv(folder: Path, content: str) -> Path:
    path = save_model(folder, MODEL)
    path.write_text(path.read_text().replace("labels.txt", "labels.csv"))
    (folder / "labels.csv").write_text(content)
    return path


def test_a_csv_file_says_which_concept_is_meant(tmp_path: Path) -> None:
    path = in_csv(tmp_path, 'name,concept\nKitty,Cat\n"Fox, red",\nHare\n')

    assert names(path) == [("Kitty", "Cat"), ("Fox, red", ""), ("Hare", "")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("label,concept\nKitty,Cat\n", "line 1: A CSV file of labels begins with the line: name,concept"),
        ("", "line 1: A CSV file"),
        ("name,concept\na,b,c\n", "line 2: There are more than two columns"),
        ('name,concept\n"a\n', "line 2: This is no CSV"),
        ("name,concept\n", "names no label"),
    ],
)
def test_a_wrong_csv_file_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InvalidModel, match=rf"labels\.csv.*{words}"):
        read(in_csv(tmp_path, content))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["Cat", "", "Dog"], "line 2: The line is empty"),
        (["Cat", "a;b"], "line 2: A name has at most 50 characters"),
        (["x" * 51], "line 1: A name has at most 50 characters"),
        (["a\x07b"], "line 1: A name has at most 50 characters"),
        (["-", "-"], "names no label"),
    ],
)
def test_a_wrong_list_of_labels_is_refused_with_its_line(tmp_path: Path, labels: list[str], words: str) -> None:
    with pytest.raises(InvalidModel, match=rf"labels\.txt.*{words}"):
        read(save_model(tmp_path, MODEL, labels))


def test_a_list_of_labels_is_utf_8(tmp_path: Path) -> None:
    path = save_model(tmp_path, MODEL)
    (tmp_path / "labels.txt").write_bytes("Hund\nBär\n".encode("latin-1"))

    with pytest.raises(InvalidModel, match="line 2: This is not UTF-8"):
        read(path)


@pytest.mark.parametrize("name", ["model.toml", "model.onnx", "labels.txt"])
def test_the_digest_changes_with_every_file(tmp_path: Path, name: str) -> None:
    path = save_model(tmp_path, MODEL)
    before = read(path).digest
    with (tmp_path / name).open("ab") as file:
        file.write(b"more\n" if name == "labels.txt" else b"\n")

    assert read(path).digest != before
