"""The contract of Recognizer, run against every recognizer."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from lumitag.adapters.aws.recognizer import build_rekognition_recognizer, images_of
from lumitag.adapters.local.recognizer import ONNXRecognizer, build_recognizer_pool
from lumitag.domain import ImageRecord, now
from lumitag.errors import ImageNotFound, NotAnImage, UnreadableImage
from lumitag.ports import Recognizer
from lumitag.recognition.decode import DecodeLimits
from lumitag.settings import load_settings
from tests.adapters.aws.rekognition_server import RekognitionServer, use_aws
from tests.fakes import FakeEventQueue, FakeLabelStore, FakeObjectStore, FakeOutboxes, FakeRecognizer
from tests.photographs import jpeg_of, photograph

GOOD, BAD = "0" * 25 + "1", "0" * 25 + "2"


@dataclass
class Setting:
    """A recognizer over a store that holds a photograph under GOOD and nonsense under BAD."""

    recognizer: Recognizer


def filled_store() -> FakeObjectStore:
    labels = FakeLabelStore(FakeOutboxes())
    store = FakeObjectStore(labels, lambda event: FakeEventQueue().send([event]))
    for key, content in ((GOOD, jpeg_of(photograph("cat"))), (BAD, b"not an image")):
        record = ImageRecord(key, "x.jpg", "image/jpeg", len(content), now())
        labels.create(record)
        store.put(record, io.BytesIO(content))
    return store


def fake(store: FakeObjectStore, closing: ExitStack) -> Recognizer:
    return FakeRecognizer(answers={BAD: NotAnImage()}, object_store=store)


def onnx(store: FakeObjectStore, closing: ExitStack) -> Recognizer:
    pool = build_recognizer_pool(load_settings(workers=1))
    closing.callback(pool.close)
    return ONNXRecognizer(store, pool)


def rekognition(store: FakeObjectStore, closing: ExitStack) -> Recognizer:
    server = closing.enter_context(RekognitionServer().running())
    patch = closing.enter_context(pytest.MonkeyPatch.context())
    use_aws(patch, AWS_ENDPOINT_URL_REKOGNITION=server.url)
    return build_rekognition_recognizer([], 30.0, image_of=images_of(store, DecodeLimits()))


RECOGNIZERS: dict[str, Callable[[FakeObjectStore, ExitStack], Recognizer]] = {
    "fake": fake,
    "onnx": onnx,
    "rekognition": rekognition,
}


@pytest.fixture(scope="module", params=RECOGNIZERS)
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    with ExitStack() as closing:
        yield Setting(RECOGNIZERS[request.param](filled_store(), closing))


def test_labels_are_sorted_and_in_percent(setting: Setting) -> None:
    labels = setting.recognizer.recognize(GOOD).labels

    confidences = [label.confidence for label in labels]
    assert labels
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= confidence <= 100 for confidence in confidences)


def test_boxes_lie_inside_the_picture(setting: Setting) -> None:
    boxes = [i.bounding_box for label in setting.recognizer.recognize(GOOD).labels for i in label.instances]

    assert all(0 <= box.left <= box.left + box.width <= 1 for box in boxes)
    assert all(0 <= box.top <= box.top + box.height <= 1 for box in boxes)


def test_every_label_has_a_name_a_concept_and_a_category(setting: Setting) -> None:
    for label in setting.recognizer.recognize(GOOD).labels:
        assert label.name
        assert label.concept
        assert label.categories


def test_a_result_says_which_model_made_it(setting: Setting) -> None:
    recognition = setting.recognizer.recognize(GOOD)

    assert recognition.model_version == setting.recognizer.model_version != ""
    assert recognition.recognizer


def test_the_same_image_gets_the_same_labels(setting: Setting) -> None:
    assert setting.recognizer.recognize(GOOD) == setting.recognizer.recognize(GOOD)


def test_a_missing_image_is_not_found(setting: Setting) -> None:
    with pytest.raises(ImageNotFound):
        setting.recognizer.recognize("0" * 25 + "9")


def test_what_can_never_be_recognized_is_unreadable_in_words(setting: Setting) -> None:
    with pytest.raises(UnreadableImage) as caught:
        setting.recognizer.recognize(BAD)

    assert caught.value.message.endswith(".")
