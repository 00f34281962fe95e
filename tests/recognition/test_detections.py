"""Boxes computed by hand, and what must hold for any output of the detector."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lumitag.recognition.detections import (
    decode_boxes,
    find_detections,
    intersection_over_union,
    ssd_anchors,
    suppress_overlaps,
)

ANCHORS = ssd_anchors()


def raw_output() -> tuple[np.ndarray, np.ndarray]:
    """Return the output of a detector that has found nothing."""
    return np.zeros((1917, 4), np.float32), np.full((1917, 91), -9, np.float32)


def test_there_is_one_anchor_for_each_prediction() -> None:
    assert ANCHORS.shape == (19 * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6, 4)


def test_the_first_and_the_last_anchors_are_where_the_paper_has_them() -> None:
    half_cell = 0.5 / 19
    assert ANCHORS[0] == pytest.approx([half_cell, half_cell, 0.1, 0.1])
    assert ANCHORS[1] == pytest.approx([half_cell, half_cell, 0.2 / math.sqrt(2), 0.2 * math.sqrt(2)])
    assert ANCHORS[3] == pytest.approx([half_cell, 3 * half_cell, 0.1, 0.1])
    assert ANCHORS[-6] == pytest.approx([0.5, 0.5, 0.95, 0.95])
    assert ANCHORS[-1] == pytest.approx([0.5, 0.5, math.sqrt(0.95), math.sqrt(0.95)])


def test_an_encoding_of_zeros_is_the_anchor_itself() -> None:
    anchors = np.array([[0.5, 0.4, 0.2, 0.4]], np.float32)

    assert decode_boxes(np.zeros((1, 4), np.float32), anchors)[0] == pytest.approx([0.2, 0.4, 0.6, 0.6])


def test_offsets_are_tenths_of_the_anchor_and_sizes_are_logarithms_in_fifths() -> None:
    anchors = np.array([[0.5, 0.4, 0.2, 0.4]], np.float32)
    encodings = np.array([[5.0, -2.5, 5 * math.log(2), 5 * math.log(0.5)]], np.float32)

    # centre y 0.5 + 0.5 * 0.2, centre x 0.4 - 0.25 * 0.4, height 2 * 0.2, width 0.5 * 0.4
    assert decode_boxes(encodings, anchors)[0] == pytest.approx([0.2, 0.4, 0.4, 0.8])


def test_overlap_is_the_shared_part_of_what_both_cover() -> None:
    boxes = np.array([[0, 0, 0.2, 0.2], [0.1, 0, 0.3, 0.2], [0.5, 0.5, 0.6, 0.6], [0.7, 0.7, 0.7, 0.7]], np.float32)

    overlaps = intersection_over_union(boxes)

    assert overlaps[0] == pytest.approx([1, 1 / 3, 0, 0])
    assert overlaps[3] == pytest.approx([0, 0, 0, 0])


def test_of_overlapping_boxes_of_one_class_the_best_is_kept() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)

    assert suppress_overlaps(boxes, np.array([1, 1, 2, 1])).tolist() == [0, 2, 3]


def test_a_suppressed_box_suppresses_no_other() -> None:
    boxes = np.array([[0, 0, 1.0, 1], [0, 0.25, 1, 1.25], [0, 0.5, 1, 1.5]], np.float32)  # neighbours share 3/5
    wide = np.array([[0, 0, 1.0, 1], [0, 0.2, 1, 1.2], [0, 0.4, 1, 1.4]], np.float32)  # neighbours share 2/3

    assert suppress_overlaps(boxes, np.array([1, 1, 1])).tolist() == [0, 1, 2]
    assert suppress_overlaps(wide, np.array([1, 1, 1])).tolist() == [0, 2]


def test_a_confident_prediction_is_found_with_its_score_and_box() -> None:
    encodings, logits = raw_output()
    logits[-6, 18] = math.log(0.9 / 0.1)

    found = find_detections(encodings, logits, ANCHORS, min_score=0.3)

    assert found.classes.tolist() == [18]
    assert found.scores == pytest.approx([0.9])
    assert found.boxes[0] == pytest.approx([0.025, 0.025, 0.975, 0.975])


def test_the_background_is_nothing() -> None:
    encodings, logits = raw_output()
    logits[:, 0] = 9

    assert len(find_detections(encodings, logits, ANCHORS, min_score=0.3).scores) == 0


def test_scores_below_the_minimum_are_left_out_and_the_rest_is_sorted() -> None:
    encodings, logits = raw_output()
    for row, score in zip((0, 300, 600, 900), (0.29, 0.4, 0.8, 0.31), strict=True):
        logits[row, 1] = math.log(score / (1 - score))

    found = find_detections(encodings, logits, ANCHORS, min_score=0.3)

    assert found.scores == pytest.approx([0.8, 0.4, 0.31], abs=1e-6)


def test_there_are_at_most_100_detections() -> None:
    encodings, logits = raw_output()
    logits[:, 1:4] = 2

    assert len(find_detections(encodings, logits, ANCHORS, min_score=0.3).scores) == 100


@given(arrays(np.float32, (12, 4), elements=st.floats(-20, 20, width=32)))
def test_boxes_never_leave_the_picture(some: np.ndarray) -> None:
    encodings, logits = raw_output()
    encodings[::160] = some
    logits[::160, 5] = 3

    boxes = find_detections(encodings, logits, ANCHORS, min_score=0.3).boxes

    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
