"""A network that says where things are in a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumitag.recognition.decode import Picture
from lumitag.recognition.detections import Detections
from lumitag.recognition.network import Network

Outputs = list[NDArray[Any]]


@dataclass(frozen=True)
class Detector:
    """Finds things in a picture.

    Attributes:
        network: what is run.
        read: turns its outputs, and the least score of 0 to 1, into detections with boxes as ratios of the input.
    """

    network: Network
    read: Callable[[Outputs, float], Detections]

    def detect(self, picture: Picture, min_score: float) -> Detections:
        """Return what is in the picture with at least this score, 0 to 1, exclusive at both ends."""
        found = self.read(self.network.run(picture), min_score)
        left, top, right, bottom = self.network.preprocessing.region(picture)
        corners = np.asarray([left, top, left, top], np.float32)
        sizes = np.asarray([right - left, bottom - top] * 2, np.float32)
        boxes = corners + found.boxes * sizes
        return Detections(np.clip(boxes, 0, 1), found.scores, found.classes)
