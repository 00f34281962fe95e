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
from lumitag.recognition.regions import in_whole

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
        boxes = in_whole(found.boxes, self.network.preprocessing.region(picture))
        return Detections(np.clip(boxes, 0, 1), found.scores, found.classes)
