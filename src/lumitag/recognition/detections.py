"""Boxes and scores of an SSD detector (arXiv:1512.02325): anchors, box decoding, non-maximum suppression.

Pure functions of arrays. Boxes are ratios of the picture, 0 to 1; each function says in which order.
The constants are those of TensorFlow's `ssdlite_mobilenet_v2_coco` pipeline configuration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_FEATURE_MAP_SIZES: Final = (19, 10, 5, 3, 2, 1)
_MIN_SCALE: Final = 0.2
_MAX_SCALE: Final = 0.95
_CENTRE_FACTOR: Final = 10.0
_SIZE_FACTOR: Final = 5.0
_MAX_OVERLAP: Final = 0.6
_MAX_CANDIDATES: Final = 400
_MAX_DETECTIONS: Final = 100


@dataclass(frozen=True)
class Detections:
    """What a detector found, best first.

    Attributes:
        boxes: (n, 4): left, top, right, bottom, 0 to 1, never outside the picture.
        scores: (n,), 0 to 1.
        classes: (n,): COCO category ids, or indices of the classes of an own detector.
    """

    boxes: Floats
    scores: Floats
    classes: Integers


def ssd_anchors() -> Floats:
    """Return the anchor boxes: (1917, 4): centre y, centre x, height, width.

    Six feature maps, each cell with six shapes but on the first map three (arXiv:1512.02325, 2.2; the object
    detection API's `create_ssd_anchors` with `reduce_boxes_in_lowest_layer`). The order is that of the predictions.
    """
    count = len(_FEATURE_MAP_SIZES)
    scales = [_MIN_SCALE + (_MAX_SCALE - _MIN_SCALE) * level / (count - 1) for level in range(count)] + [1.0]
    maps = [_map_anchors(size, _shapes(level, scales)) for level, size in enumerate(_FEATURE_MAP_SIZES)]
    return np.concatenate(maps).astype(np.float32)


def _shapes(level: int, scales: list[float]) -> list[tuple[float, float]]:
    """Return the shapes of one feature map: scale and aspect ratio (width over height)."""
    scale = scales[level]
    if level == 0:
        return [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    between = math.sqrt(scale * scales[level + 1])
    return [(scale, 1.0), (scale, 2.0), (scale, 0.5), (scale, 3.0), (scale, 0.3333), (between, 1.0)]


def _map_anchors(size: int, shapes: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Return (size * size * shapes, 4): row by row, cell by cell, shape by shape."""
    centres = (np.arange(size) + 0.5) / size
    sizes = np.array([(scale / math.sqrt(ratio), scale * math.sqrt(ratio)) for scale, ratio in shapes])
    y, x, shape = np.meshgrid(centres, centres, np.arange(len(shapes)), indexing="ij")
    return np.stack([y.ravel(), x.ravel(), *sizes[shape.ravel()].T], axis=1)


def find_detections(box_encodings: Floats, class_logits: Floats, anchors: Floats, min_score: float) -> Detections:
    """Return what the raw output of the detector says.

    Scores are compared as logits, before any sigmoid, and only boxes with a score are decoded: almost all of the
    174,000 numbers are never touched again.

    Args:
        box_encodings: (1917, 4).
        class_logits: (1917, 91): one independent logit a COCO category; the first column is the background.
        anchors: (1917, 4), of `ssd_anchors`.
        min_score: 0 to 1, exclusive at both ends.
    """
    min_logit = math.log(min_score / (1 - min_score))
    rows, columns = np.nonzero(class_logits[:, 1:] >= min_logit)
    logits = class_logits[rows, columns + 1]
    best = np.argsort(-logits, kind="stable")[:_MAX_CANDIDATES]
    rows, classes = rows[best], columns[best] + 1
    scores = (1 / (1 + np.exp(-logits[best]))).astype(np.float32)
    boxes = decode_boxes(box_encodings[rows], anchors[rows])
    kept = suppress_overlaps(boxes, classes)
    return Detections(np.clip(boxes[kept], 0, 1), scores[kept], classes[kept])


def decode_boxes(encodings: Floats, anchors: Floats) -> Floats:
    """Return boxes (n, 4): left, top, right, bottom; they may reach beyond 0 and 1.

    Args:
        encodings: (n, 4): offset of the centre y and x in tenths of the anchor, logarithm of height and width in
            fifths (Faster R-CNN's box coder, arXiv:1506.01497, equation 2).
        anchors: (n, 4): centre y, centre x, height, width.
    """
    centres = encodings[:, :2] / _CENTRE_FACTOR * anchors[:, 2:] + anchors[:, :2]
    halves = np.exp(encodings[:, 2:] / _SIZE_FACTOR) * anchors[:, 2:] / 2
    return np.concatenate([(centres - halves)[:, ::-1], (centres + halves)[:, ::-1]], axis=1)


def suppress_overlaps(boxes: Floats, classes: Integers, max_overlap: float = _MAX_OVERLAP) -> Integers:
    """Return the indices of the boxes to keep, at most 100: a box that overlaps a better one of its class goes.

    Args:
        boxes: (n, 4): left, top, right, bottom, best first.
        classes: (n,).
        max_overlap: intersection over union, 0 to 1; a larger one is too much.
    """
    overlapping = (intersection_over_union(boxes) > max_overlap) & (classes[:, None] == classes[None, :])
    kept = np.ones(len(boxes), dtype=bool)
    for index in range(len(boxes)):
        if kept[index]:
            kept[index + 1 :] &= ~overlapping[index, index + 1 :]
    return np.flatnonzero(kept)[:_MAX_DETECTIONS]


def intersection_over_union(boxes: Floats) -> Floats:
    """Return (n, n), 0 to 1: the shared area of every two boxes over the area that they cover together."""
    corner = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    opposite = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.maximum(opposite - corner, 0), axis=2)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    together = areas[:, None] + areas[None, :] - shared
    return np.asarray(shared / np.maximum(together, np.finfo(np.float32).tiny), dtype=np.float32)
