"""What the outputs of an own detector say: three layouts, three kinds of boxes, two units.

Pure functions of arrays. `n` is how many boxes the network considers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lumitag.recognition.confidence import sigmoid
from lumitag.recognition.detections import Detections, Floats, Integers, suppress_overlaps
from lumitag.recognition.detector import Outputs
from lumitag.recognition.model_description import DetectorOutput

_MAX_CANDIDATES: Final = 400
_BOX: Final = 4  # numbers of a box
_WITH_CLASSES: Final = 3  # outputs of the only layout that names the class of each box
_CORNERS: Final = {"xyxy": [0, 1, 2, 3], "yxyx": [1, 0, 3, 2]}


@dataclass(frozen=True)
class OutputReader:
    """Turns the outputs of one detector into detections.

    Attributes:
        output: how the description puts it.
        class_count: how many classes the list of labels has.
        height, width: pixels of the input.
    """

    output: DetectorOutput
    class_count: int
    height: int
    width: int

    def __call__(self, outputs: Outputs, min_score: float) -> Detections:
        """Return what was found with at least this score, best first, boxes as ratios of the input."""
        boxes, scores, classes = self._candidates(outputs, max(min_score, self.output.min_score))
        boxes = self.to_ratios(boxes)
        real = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        best = np.flatnonzero(real)[np.argsort(-scores[real], kind="stable")[:_MAX_CANDIDATES]]
        boxes, scores, classes = boxes[best], scores[best], classes[best]
        kept = suppress_overlaps(boxes, classes, self.output.max_overlap)
        return Detections(boxes[kept], scores[kept], classes[kept])

    def boxes_and_scores(self, outputs: Outputs) -> tuple[Floats, Floats]:
        """Return the boxes as they are, (n, 4), and the scores, 0 to 1: (n, classes), or (n, 1).

        Raises ValueError where the outputs do not have the shapes of the layout.
        """
        if self.output.layout == "yolo":
            boxes, scores = self._split_rows(outputs[0])
        else:
            boxes = _floats(outputs[0]).reshape(-1, _BOX)
            columns = self.class_count if self.output.layout == "boxes_scores" else 1
            scores, *_ = (self._activated(_floats(values)).reshape(len(boxes), columns) for values in outputs[1:])
        return boxes, scores

    def to_ratios(self, boxes: Floats) -> Floats:
        """Return (n, 4): left, top, right, bottom as ratios of the input.

        Args:
            boxes: (n, 4), as the description says.
        """
        if self.output.box == "cxcywh":
            centres, halves = boxes[:, :2], boxes[:, 2:] / 2
            boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        else:
            boxes = boxes[:, _CORNERS[self.output.box]]
        unit = (self.width, self.height) * 2 if self.output.units == "pixels" else (1, 1, 1, 1)
        return np.asarray(boxes / np.asarray(unit, np.float32), np.float32)

    def _candidates(self, outputs: Outputs, min_score: float) -> tuple[Floats, Floats, Integers]:
        boxes, scores = self.boxes_and_scores(outputs)
        rows, columns = np.nonzero(scores >= min_score)
        classes = columns if len(outputs) < _WITH_CLASSES else _floats(outputs[2]).reshape(-1)[rows]
        known = (classes >= 0) & (classes < self.class_count)  # what was found may be filled up with -1
        rows, columns, classes = rows[known], columns[known], classes[known].astype(np.int64)
        return boxes[rows], scores[rows, columns], classes

    def _split_rows(self, output: NDArray[Any]) -> tuple[Floats, Floats]:
        first = _BOX + self.output.objectness
        height, width = (1, *output.shape)[-2:]
        rows = _floats(output).reshape(height, width)
        rows = rows if rows.shape[1] == first + self.class_count else rows.T
        if rows.shape[1] != first + self.class_count:
            raise ValueError("no axis has as many numbers as a box and its scores")
        scores = self._activated(rows[:, first:])
        return rows[:, :_BOX], scores * self._activated(rows[:, _BOX:first]) if self.output.objectness else scores

    def _activated(self, values: Floats) -> Floats:
        return sigmoid(values) if self.output.values == "score_logits" else values


def _floats(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float32)
