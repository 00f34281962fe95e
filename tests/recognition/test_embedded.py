"""The whole recognizer on real photographs, and what never changes about it."""

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image

from lumitag.domain import BoundingBox, Recognition, visible_labels
from lumitag.errors import ImageTooLarge, ImageTooSmall, NotAnImage, UnreadableImage, WeightsChanged
from lumitag.recognition import embedded
from lumitag.recognition.decode import DecodeLimits
from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.recognition.weights import CLASSIFIER, DETECTOR, read_weights, weights_folder
from tests.photographs import PHOTOGRAPHS, jpeg_of, photograph
from tests.recognition.pictures import exif_with, file_of, quadrants
from tests.recognition.test_decode import mutated


def confidences(recognition: Recognition) -> dict[str, float]:
    return {label.name: label.confidence for label in recognition.labels}


def sides(box: BoundingBox) -> tuple[float, float, float, float]:
    return (box.left, box.top, box.width, box.height)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_get_the_label_that_people_would_give(recognizer: EmbeddedRecognizer, name: str) -> None:
    recognition = recognizer.recognize(jpeg_of(photograph(name)))

    assert confidences(recognition)[PHOTOGRAPHS[name][1]] >= 50


@pytest.mark.parametrize(("name", "label"), [("cat", "Cat"), ("motorcycle", "Motorcycle"), ("coffee", "Cup")])
def test_objects_are_located(recognizer: EmbeddedRecognizer, name: str, label: str) -> None:
    labels = recognizer.recognize(jpeg_of(photograph(name))).labels
    [found] = [found for found in labels if found.name == label]
    box = found.instances[0].bounding_box

    assert found.instances[0].confidence >= 50
    assert box.width * box.height > 0.05


def test_the_cat_is_where_it_is(recognizer: EmbeddedRecognizer) -> None:
    """Mirror the photograph and the box is mirrored."""
    image = photograph("cat")
    mirrored = recognizer.recognize(jpeg_of(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    box = next(label for label in recognizer.recognize(jpeg_of(image)).labels if label.name == "Cat").instances[0]
    other = next(label for label in mirrored.labels if label.name == "Cat").instances[0]

    assert box.bounding_box.left == pytest.approx(1 - other.bounding_box.left - other.bounding_box.width, abs=0.1)


def test_the_answer_says_who_gave_it_and_how_large_the_image_is(recognizer: EmbeddedRecognizer) -> None:
    recognition = recognizer.recognize(file_of(quadrants(200, 100), exif=exif_with(6)))

    assert (recognition.width, recognition.height) == (100, 200)
    assert recognition.recognizer == "embedded"
    assert recognition.model_version == recognizer.model_version


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_boxes_are_in_the_upright_picture(recognizer: EmbeddedRecognizer, orientation: int) -> None:
    """A photograph stored lying, with a tag that says so, gets the boxes of the same photograph stored upright."""
    upright = photograph("motorcycle")
    degrees = {3: 180, 6: 90, 8: 270}[orientation]
    stored = file_of(upright.rotate(degrees, expand=True), "PNG", exif=exif_with(orientation))

    seen, expected = recognizer.recognize(stored), recognizer.recognize(file_of(upright, "PNG"))

    assert (seen.width, seen.height) == (expected.width, expected.height)
    for label in visible_labels(expected.labels, 50):
        [same] = [other for other in seen.labels if other.concept == label.concept]
        assert same.confidence == pytest.approx(label.confidence, abs=3)
        for one, other in zip(label.instances[:1], same.instances[:1], strict=True):
            assert sides(other.bounding_box) == pytest.approx(sides(one.bounding_box), abs=0.01)


def test_the_same_image_gets_the_same_labels_every_time_on_any_thread(recognizer: EmbeddedRecognizer) -> None:
    contents = [jpeg_of(photograph(name)) for name in PHOTOGRAPHS]
    expected = [recognizer.recognize(content) for content in contents]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(recognizer.recognize, contents * 3)) == expected * 3
    assert [EmbeddedRecognizer.load().recognize(content) for content in contents] == expected


def test_a_higher_floor_leaves_out_labels_and_changes_none(recognizer: EmbeddedRecognizer) -> None:
    content = jpeg_of(photograph("coffee"))
    strict = EmbeddedRecognizer.load(floor_percent=70).recognize(content)

    expected = {name: value for name, value in confidences(recognizer.recognize(content)).items() if value >= 70}
    assert confidences(strict) == expected


def test_limits_are_obeyed() -> None:
    recognizer = EmbeddedRecognizer.load(limits=DecodeLimits(min_side=10, max_side=90))

    assert recognizer.recognize(file_of(quadrants(20, 20))).width == 20
    with pytest.raises(ImageTooLarge):
        recognizer.recognize(file_of(quadrants(100, 20)))


@pytest.mark.parametrize(("content", "error"), [(b"text", NotAnImage), (file_of(quadrants(64, 64)), ImageTooSmall)])
def test_unreadable_images_are_refused(
    recognizer: EmbeddedRecognizer, content: bytes, error: type[UnreadableImage]
) -> None:
    with pytest.raises(error):
        recognizer.recognize(content)


def test_broken_images_are_recognized_or_refused_and_nothing_else(recognizer: EmbeddedRecognizer) -> None:
    chance = random.Random(7)
    seeds = [file_of(photograph("cat").resize((120, 90)), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]

    for number in range(120):
        try:
            recognition = recognizer.recognize(mutated(seeds[number % 4], chance))
        except UnreadableImage:
            continue
        assert min(recognition.width, recognition.height) >= 80


def test_a_flat_picture_gets_no_confident_label(recognizer: EmbeddedRecognizer) -> None:
    for grey in (0, 128, 255):
        labels = recognizer.recognize(file_of(Image.new("RGB", (300, 200), (grey, grey, grey)), "PNG")).labels
        assert all(label.confidence < 50 for label in labels)


def copied_weights(folder: Path) -> Path:
    for file in weights_folder().iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_released_weights_are_accepted_wherever_they_are(tmp_path: Path) -> None:
    copied = EmbeddedRecognizer.load(folder=copied_weights(tmp_path))

    assert copied.model_version == EmbeddedRecognizer.load().model_version


@pytest.mark.parametrize("name", [CLASSIFIER, DETECTOR])
def test_one_changed_byte_in_the_weights_is_noticed(tmp_path: Path, name: str) -> None:
    content = bytearray((copied_weights(tmp_path) / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)

    with pytest.raises(WeightsChanged, match=name):
        EmbeddedRecognizer.load(folder=tmp_path)


def test_missing_weights_are_noticed(tmp_path: Path) -> None:
    (copied_weights(tmp_path) / DETECTOR).unlink()

    with pytest.raises(WeightsChanged, match="missing"):
        read_weights(DETECTOR, tmp_path)


def test_the_manifest_lists_every_model_and_nothing_else() -> None:
    manifest = json.loads((weights_folder() / "sha256.json").read_bytes())
    files = {file.name for file in weights_folder().iterdir() if file.name.endswith(".onnx")}

    assert set(manifest) == files == {CLASSIFIER, DETECTOR}


def test_the_model_version_changes_with_the_method(
    recognizer: EmbeddedRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "TEMPERATURE", 0.9)

    assert EmbeddedRecognizer.load().model_version != recognizer.model_version


def test_the_model_version_changes_with_the_taxonomy(
    recognizer: EmbeddedRecognizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = copied_weights(tmp_path)
    content = (resources.files("lumitag.recognition") / "taxonomy.json").read_text(encoding="utf-8")
    (tmp_path / "taxonomy.json").write_text(content.replace('"Dog"', '"Hound of Hounds"'), encoding="utf-8")
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)

    changed = EmbeddedRecognizer.load(folder=folder)

    assert changed.model_version != recognizer.model_version


def test_loading_the_models_tells_nobody(tmp_path: Path) -> None:
    """Telemetry of ONNX Runtime would begin by keeping an id of this machine in the home folder."""
    program = "from lumitag.recognition.embedded import EmbeddedRecognizer; EmbeddedRecognizer.load()"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": os.environ["PATH"]}

    subprocess.run([sys.executable, "-c", program], env=home, check=True, timeout=60)

    assert list(tmp_path.rglob("*")) == []
