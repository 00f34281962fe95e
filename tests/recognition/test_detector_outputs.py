"""However a detector writes its boxes down, the same boxes are read."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.recognition.confidence import sigmoid
from lumitag.recognition.detections import Detections, Floats
from lumitag.recognition.detector import Outputs
from lumitag.recognition.detector_outputs import OutputReader
from lumitag.recognition.model_description import DetectorOutput

HEIGHT, WIDTH, CLASSES = 20, 40, 3

sides = st.floats(0.0, 1.0, width=32).map(lambda value: round(value, 3))
boxes = st.tuples(sides, sides, sides, sides).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]) + 0.1, max(box[1], box[3]) + 0.1)
)
scores = st.floats(0.125, 0.875, width=32)
found = st.lists(st.tuples(boxes, scores, st.integers(0, CLASSES - 1)), min_size=1, max_size=8)
forms = st.tuples(st.sampled_from(["xyxy", "yxyx", "cxcywh"]), st.sampled_from(["pixels", "ratios"]))


def reader(layout: str, box: str = "xyxy", units: str = "ratios", **more: object) -> OutputReader:
    table = {"layout": layout, "box": box, "units": units, "max_overlap": 1, **more}
    return OutputReader(DetectorOutput.model_validate(table), CLASSES, HEIGHT, WIDTH)


def written(ratios: Floats, box: str, units: str) -> Floats:
    """Return boxes (n, 4), left, top, right, bottom as ratios, the way a detector might write them."""
    values = ratios * ((WIDTH, HEIGHT) * 2 if units == "pixels" else (1, 1, 1, 1))
    if box == "yxyx":
        return values[:, [1, 0, 3, 2]]
    if box == "cxcywh":
        return np.concatenate([(values[:, :2] + values[:, 2:]) / 2, values[:, 2:] - values[:, :2]], axis=1)
    return values


def one_hot(values: Floats, classes: np.ndarray) -> Floats:
    matrix = np.zeros((len(values), CLASSES), np.float32)
    matrix[np.arange(len(values)), classes] = values
    return matrix


def assert_found(detections: Detections, ratios: Floats, values: Floats, classes: np.ndarray) -> None:
    order = np.argsort(-values, kind="stable")
    np.testing.assert_allclose(detections.boxes, ratios[order], atol=1e-4)
    np.testing.assert_allclose(detections.scores, values[order], atol=1e-6)
    np.testing.assert_array_equal(detections.classes, classes[order])


@given(found, forms)
def test_every_layout_box_and_unit_says_the_same(
    found: list[tuple[tuple[float, ...], float, int]], form: tuple[str, str]
) -> None:
    ratios = np.array([box for box, _, _ in found], np.float32)
    values = np.array([score for _, score, _ in found], np.float32)
    classes = np.array([number for _, _, number in found])
    raw, matrix = written(ratios, *form), one_hot(values, classes)
    rows = np.concatenate([raw, matrix], axis=1)

    answers = {
        "boxes_scores_classes": [[raw, values, classes], [raw[None], values[None], classes[None].astype(np.float32)]],
        "boxes_scores": [[raw, matrix], [raw[None], matrix[None]]],
        "yolo": [[rows], [rows[None]], [rows[None].transpose(0, 2, 1)]],
    }
    for layout, shapes in answers.items():
        if layout == "yolo" and len(found) == 4 + CLASSES:
            continue  # Rows and columns cannot be told apart, see below.
        for outputs in shapes:
            assert_found(
                reader(layout, *form)([np.asarray(output) for output in outputs], 0.05), ratios, values, classes
            )


def test_where_rows_and_columns_are_as_many_each_row_is_a_box() -> None:
    rows = np.tile(np.array([0, 0, 1, 1, 0, 0.5, 0], np.float32), (7, 1))

    assert len(reader("yolo")([rows], 0.05).scores) == 7


@given(scores, scores)
def test_objectness_multiplies_the_scores(objectness: float, score: float) -> None:
    rows = np.array([[0, 0, 1, 1, objectness, 0, score, 0]], np.float32)
    detections = reader("yolo", objectness=True, min_score=0.01)([rows], 0.001)

    assert detections.scores.tolist() == pytest.approx([objectness * score])
    assert detections.classes.tolist() == [1]


@given(st.floats(-50, 50, width=32))
def test_logits_go_through_a_sigmoid(logit: float) -> None:
    outputs = [np.array([[0, 0, 1, 1]], np.float32), np.array([[logit, -60, -60]], np.float32)]
    _, scores = reader("boxes_scores", values="score_logits").boxes_and_scores(outputs)

    assert scores[0, 0] == pytest.approx(1 / (1 + np.exp(-np.float64(logit))), abs=1e-6)


def test_a_sigmoid_never_overflows() -> None:
    assert sigmoid(np.array([-1e30, 0.0, 1e30])).tolist() == [0, 0.5, 1]


@given(arrays.arrays(np.float32, (6, 4 + CLASSES), elements=st.floats(width=32)))
def test_whatever_a_model_answers_becomes_real_boxes_or_none(rows: Floats) -> None:
    with np.errstate(all="ignore"):
        detections = reader("yolo", max_overlap=0.5)([rows], 0.1)

    assert np.isfinite(detections.boxes).all()
    assert (detections.boxes[:, 2:] > detections.boxes[:, :2]).all()
    assert (detections.scores >= np.float32(0.1)).all()
    assert (np.diff(detections.scores) <= 0).all()


def test_of_boxes_of_one_class_that_overlap_the_best_stays() -> None:
    rows = np.array([[0, 0, 1, 1, 0.5, 0, 0], [0, 0, 1, 0.9, 0.8, 0, 0], [0, 0, 1, 1, 0, 0.7, 0]], np.float32)

    assert reader("yolo", max_overlap=0.5)([rows], 0.1).scores.tolist() == pytest.approx([0.8, 0.7])
    assert len(reader("yolo", max_overlap=0.95)([rows], 0.1).scores) == 3


@pytest.mark.parametrize(("asked", "kept"), [(0.01, [0.5, 0.3]), (0.4, [0.5])])
def test_the_higher_of_both_thresholds_counts(asked: float, kept: list[float]) -> None:
    outputs = [np.array([[0, 0, 1, 1]] * 3, np.float32), np.array([0.1, 0.3, 0.5], np.float32), np.array([0, 1, 2])]
    detections = reader("boxes_scores_classes", min_score=0.2)(outputs, asked)

    assert detections.scores.tolist() == pytest.approx(kept)


def test_a_class_without_a_name_is_left_out() -> None:
    outputs = [np.array([[0, 0, 1, 1]] * 3, np.float32), np.full(3, 0.5, np.float32), np.array([-1, 1, CLASSES])]

    assert reader("boxes_scores_classes")(outputs, 0.1).classes.tolist() == [1]


def test_no_box_is_no_detection() -> None:
    outputs: Outputs = [np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)]

    assert len(reader("boxes_scores_classes")(outputs, 0.1).boxes) == 0
