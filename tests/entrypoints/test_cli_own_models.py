"""Own models from the command line: they are used, and one that does not fit is refused before anything else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lumitag.entrypoints.commands.label_files import model_name
from lumitag.settings import load_settings
from tests.recognition.own_models import colour_classifier, save_model


@pytest.fixture
def green(tmp_path: Path) -> Path:
    path = tmp_path / "green.png"
    Image.new("RGB", (120, 100), (0, 255, 0)).save(path)
    return path


def lumitag(*arguments: str | Path, classifier: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with an own classifier, relative to its folder, and with a cache of its own."""
    folder = classifier.parent
    own = {"LUMITAG_CLASSIFIER_MODEL": classifier.name, "LUMITAG_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "lumitag", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_files_are_labelled_with_an_own_classifier(tmp_path: Path, green: Path) -> None:
    classifier = save_model(tmp_path / "m", colour_classifier(), top='category = "Colours"')
    run = lumitag("label", "--jsonl", "--quiet", green, classifier=classifier)

    [first, *_] = json.loads(run.stdout)["labels"]
    assert (first["name"], first["concept"], first["categories"]) == ("Emerald", "own:emerald", ["Colours"])
    assert first["confidence"] > 99


def test_the_cache_knows_one_own_model_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {model_name(load_settings())}
    for number in (1, 2):
        classifier = save_model(tmp_path / str(number), colour_classifier(gain=number))
        monkeypatch.setenv("LUMITAG_CLASSIFIER_MODEL", str(classifier))
        names.add(model_name(load_settings()))
    detector = save_model(tmp_path / "d", b"model", kind="detector", output='layout="yolo"\nbox="xyxy"\nunits="pixels"')
    monkeypatch.setenv("LUMITAG_DETECTOR_MODEL", str(detector))
    names.add(model_name(load_settings()))

    assert len(names) == 4


@pytest.mark.parametrize(
    "command", [["label", "green.png"], ["label", "--no-cache", "green.png"], ["up", "--port", "0"]]
)
def test_a_model_that_does_not_fit_ends_the_command_with_one_line(tmp_path: Path, command: list[str]) -> None:
    classifier = save_model(tmp_path, colour_classifier(), ["Scarlet", "Emerald"])
    Image.new("RGB", (120, 100)).save(tmp_path / "green.png")
    run = lumitag(*command, classifier=classifier)

    words = f"{classifier}: The model has 3 classes, labels.txt names 2."
    assert run.returncode == 2
    assert [line for line in run.stderr.splitlines() if not line.startswith("{")] == [f"lumitag: {words}"]
    assert run.stdout == ""


def test_a_description_with_a_mistake_is_refused_without_a_process(tmp_path: Path, green: Path) -> None:
    classifier = save_model(tmp_path / "m", colour_classifier(), inputs="colours = 3")
    run = lumitag("label", green, classifier=classifier)

    assert run.returncode == 2
    assert run.stderr == "lumitag: model.toml: there is no key input.colours. See docs/own-models.md.\n"


def test_the_doctor_names_a_model_that_does_not_fit(tmp_path: Path) -> None:
    run = lumitag("doctor", classifier=save_model(tmp_path, b"PK\x03\x04"))

    assert "PROBLEM  recognition:" in run.stdout
    assert "model.onnx is a PyTorch or Keras archive. Lumitag takes only ONNX: export the model to it." in run.stdout
