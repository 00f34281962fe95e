"""`lumitag evaluate` from files to files; the last tests run the real models as a user does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from lumitag.domain import Label, Recognition
from lumitag.entrypoints.commands import evaluate_command
from lumitag.entrypoints.commands.evaluate_cost import ProcessTimes, cpu_seconds, inference_cost
from lumitag.errors import InvalidSettings, NotAnImage, RecognizerUnavailable
from lumitag.evaluation.run import Cost
from lumitag.recognition.decode import thumbnail
from lumitag.settings import load_settings
from tests.entrypoints.test_cli import CAT, Run, isolate, run, run_process
from tests.photographs import jpeg_of, photograph, save_photographs

HAT = Label("Hat", "n03497657", 91.0, (), (), ("Apparel and Accessories",))


class OnePool:
    """Says the same of every image that it can read."""

    pids: tuple[int, ...] = ()
    ready_count = 1000

    def __init__(self, *labels: Label) -> None:
        self.labels = labels
        self.floor = 0.0

    def start(self) -> None:
        """Nothing to start."""

    def wait_ready(self, timeout_s: float) -> bool:
        return True

    def recognize(self, file: BinaryIO) -> Recognition:
        if not file.read().startswith(b"\xff\xd8"):
            raise NotAnImage
        return Recognition(self.labels, 640, 480, "embedded", "embedded-fake")

    def thumbnail(self, file: BinaryIO, max_side_px: int = 320) -> bytes:
        return thumbnail(file.read(), max_side_px)

    def close(self) -> None:
        """Nothing to give back."""


class Amazon:
    """Answers like Amazon Rekognition, for nothing."""

    def recognize_bytes(self, content: bytes) -> Recognition:
        if not content.startswith(b"\xff\xd8"):
            raise NotAnImage
        return Recognition((HAT,), 640, 480, "rekognition", "rekognition-3.0")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Run]:
    """Evaluate two images, one of them damaged, with a recognizer that sees a cat in everything."""
    pool = OnePool(CAT)

    def build(settings: Any) -> OnePool:
        pool.floor = settings.storage_floor_percent
        return pool

    monkeypatch.setattr(evaluate_command, "build_recognizer_pool", build)
    monkeypatch.setattr(evaluate_command, "inference_cost", lambda _settings, _contents: Cost(None, 2.0, 20.0))
    monkeypatch.setattr(evaluate_command, "rekognition", lambda _vocabulary, _floor: Amazon())
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    (photos / "deep" / "cat.jpg").write_bytes(jpeg_of(photograph("cat")))
    (photos / "broken.jpg").write_bytes(b"no image")
    (photos / "unnamed.jpg").write_bytes(b"never read")
    write(tmp_path / "truth.csv", "file,label\ncat.jpg,Cat\nbroken.jpg,Dog\nmissing.jpg,Dog\n")
    return lambda *arguments: run("evaluate", photos, "--quiet", *arguments)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_table_and_what_does_not_fit(evaluate: Callable[..., Run]) -> None:
    result = evaluate("--labels", "truth.csv")

    assert result.code == 1  # one image is broken
    assert "The true label is the top leaf" in result.out
    assert "1 file named but not there: missing.jpg." in result.out
    assert "1 image there but not named: unnamed.jpg." in result.out
    assert "1 image not recognized: broken.jpg (The file is not a JPEG, PNG, WebP or GIF image)." in result.out
    assert "$1,000.00" in result.out


def test_json_is_one_object(evaluate: Callable[..., Run]) -> None:
    report = json.loads(evaluate("--labels", "truth.csv", "--json", "--threshold", 50, "--images-per-month", 5000).out)

    assert report["figures"]["topLeaf"] == {**report["figures"]["topLeaf"], "value": 1.0, "count": "1 of 1"}
    assert report["truth"]["missing"] == ["missing.jpg"]
    assert report["monthlyCostUsd"]["5000"] == 5.0
    assert report["run"]["cost"] == {"cpuSecondsPerImage": 0, "inferenceRatio": 2.0, "classifierMilliseconds": 20.0}
    assert report["levels"] == {"floor": 1.0, "stored": 30.0, "shown": 50.0}


def test_all_is_well(evaluate: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "photos" / "broken.jpg").unlink()

    assert evaluate("--labels", "truth.csv").code == 0


def test_the_page_shows_what_was_wrong(evaluate: Callable[..., Run], tmp_path: Path) -> None:
    write(tmp_path / "truth.csv", "file,label\ndeep/cat.jpg,Zebra\n")

    assert evaluate("--labels", "truth.csv", "--html", "report.html").code == 0
    assert (tmp_path / "report.html").read_text().count('src="data:image/jpeg;base64,') == 2  # wrong, and missed


def test_against_an_earlier_report(evaluate: Callable[..., Run]) -> None:
    evaluate("--labels", "truth.csv", "--save", "old.json")

    result = evaluate("--labels", "truth.csv", "--against", "old.json", "--json")
    comparison = json.loads(result.out)["comparison"]

    assert comparison["topLabels"] == {"same": 1, "both": 1}
    assert comparison["figures"]["recall"]["difference"] == 0
    assert not comparison["figures"]["recall"]["matters"]


def test_against_amazon(evaluate: Callable[..., Run]) -> None:
    result = evaluate("--labels", "truth.csv", "--against", "rekognition", "--yes")

    assert "REKOGNITION-3.0" in result.out
    assert "Cat 98, right" in result.out
    assert "Hat 91, wrong" in result.out


def test_amazon_alone(evaluate: Callable[..., Run]) -> None:
    result = evaluate("--labels", "truth.csv", "--recognizer", "rekognition", "--yes", "--json")

    assert json.loads(result.out)["run"]["recognizer"] == "rekognition"
    assert json.loads(result.out)["figures"]["topLeaf"]["value"] == 0


def test_an_account_that_does_not_work_ends_the_run(
    evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoAccess:
        def recognize_bytes(self, content: bytes) -> Recognition:
            raise RecognizerUnavailable("The credentials are not valid.")

    monkeypatch.setattr(evaluate_command, "rekognition", lambda *_arguments: NoAccess())
    result = evaluate("--labels", "truth.csv", "--recognizer", "rekognition", "--yes")

    assert result.code != 0
    assert result.err.splitlines()[-1] == "lumitag: The credentials are not valid."


def test_money_is_not_spent_unasked(evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(evaluate_command, "rekognition", never)
    result = evaluate("--labels", "truth.csv", "--against", "rekognition")

    assert (result.code, result.err) == (2, "lumitag: Nobody is there to confirm this. Add --yes.\n")


def test_without_amazons_packages_it_says_what_to_install(
    evaluate: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    from lumitag.evaluation.vocabulary import Vocabulary  # noqa: PLC0415
    from tests.evaluation.small import TAXONOMY  # noqa: PLC0415

    with pytest.raises(InvalidSettings, match=r"lumitag\[aws\]"):
        evaluate_command.rekognition(Vocabulary(TAXONOMY), 1.0)


COCO = {
    "images": [{"id": 1, "file_name": "cat.jpg", "width": 451, "height": 300}],
    "categories": [{"id": 17, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 17, "bbox": [10, 10, 300, 200], "area": 60000, "iscrowd": 0}
    ],
}


def test_boxes(evaluate: Callable[..., Run], tmp_path: Path) -> None:
    write(tmp_path / "truth.json", json.dumps(COCO))

    report = json.loads(evaluate("--coco", "truth.json", "--json").out)

    assert report["boxes"]["ap"] == 0  # a cat, but nowhere
    assert report["boxes"]["other_size"] == 1
    assert report["figures"]["recall"]["value"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say what is true with --labels CSV [--complete], or with --coco JSON, not with both."),
        (("--labels", "truth.csv", "--coco", "x"), "Say what is true with --labels CSV [--complete]"),
        (("--labels", "nothing.csv"), "No such file or directory: nothing.csv. Check the path."),
        (("--labels", "elsewhere.csv"), "elsewhere.csv names 1 file, none of which is an image in"),
        (("--labels", "latin.csv"), "latin.csv, byte 13: it is not UTF-8. Save it as UTF-8."),
        (("--labels", "truth.csv", "--against", "truth.csv"), "truth.csv is not JSON."),
        (("--labels", "truth.csv", "--against", "other.json"), 'other.json is no report of "lumitag evaluate --json".'),
        (("--labels", "truth.csv", "--against", "damaged.json"), "This one is damaged at 'floor'."),
    ],
)
def test_wrong_use_is_explained(
    evaluate: Callable[..., Run], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write(tmp_path / "elsewhere.csv", "file,label\nother.jpg,Dog\n")
    (tmp_path / "latin.csv").write_bytes("file,label\na,\xe9\n".encode("latin-1"))
    write(tmp_path / "other.json", "[]")
    damaged = {"schema": "lumitag-evaluation/1", "run": {"recognizer": "embedded", "modelVersion": "1"}}
    write(tmp_path / "damaged.json", json.dumps(damaged))

    result = evaluate(*arguments)

    assert message in result.err
    assert result.code in {1, 2}
    assert result.err.count("\n") == 1


def test_no_image_that_can_be_recognized_is_an_error(evaluate: Callable[..., Run], tmp_path: Path) -> None:
    write(tmp_path / "truth.csv", "file,label\nbroken.jpg,Dog\n")

    result = evaluate("--labels", "truth.csv")

    assert (result.code, result.out) == (1, "")
    assert "No image could be recognized. The first: The file is not" in result.err


def test_the_time_of_a_process_is_told_or_not() -> None:
    times = ProcessTimes([os.getpid()])
    sum(range(2_000_000))

    assert (times.seconds([os.getpid()]) or 0) > 0
    assert times.seconds([]) is None  # the process was replaced
    assert cpu_seconds(2**22 + 1) is None


def test_the_cost_of_the_networks_is_measured() -> None:
    cost = inference_cost(load_settings(), [jpeg_of(photograph("cat"))] * 3)

    assert cost.inference_ratio is not None
    assert cost.inference_ratio > 1
    assert inference_cost(load_settings(), [b"no image"]) == Cost()


def test_a_user_evaluates_real_photographs(tmp_path: Path) -> None:
    """The README's command, with the real models and in a process of its own."""
    save_photographs(tmp_path / "photos")
    write(tmp_path / "photos.csv", "file,label\ncat.jpg,Cat\ncoffee.jpg,Coffee Cup\nmotorcycle.jpg,Motorcycle\n")
    arguments = ("--labels", "photos.csv", "--html", "report.html", "--save", "report.json", "--workers", 1)

    result = run_process("evaluate", "photos", *arguments, cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())

    assert result.returncode == 0, result.stderr
    assert report["figures"]["subjectNamed"]["count"] == "3 of 3"
    assert report["run"]["cost"]["cpuSecondsPerImage"] > 0
    assert report["run"]["cost"]["inferenceRatio"] > 1
    assert "</html>" in (tmp_path / "report.html").read_text()
