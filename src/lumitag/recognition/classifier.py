"""A network that says what the whole picture shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumitag.recognition.decode import Picture
from lumitag.recognition.network import Network


@dataclass(frozen=True)
class Classifier:
    """Looks at a whole picture and gives every class a number.

    Attributes:
        network: what is run.
        activate: turns its raw output, (classes,), into what `probabilities` returns.
    """

    network: Network
    activate: Callable[[NDArray[Any]], NDArray[np.float64]]

    def logits(self, picture: Picture, *, mirrored: bool = False) -> NDArray[Any]:
        """Return the raw output, (classes,), for a picture or for what it looks like in a mirror."""
        [output] = self.network.run(picture, mirrored=mirrored)
        return np.asarray(output).reshape(-1)

    def probabilities(self, picture: Picture, *, mirrored: bool = False) -> NDArray[np.float64]:
        """Return how likely each class is: (classes,), 0 to 1; sum 1 if the classes exclude each other."""
        return self.activate(self.logits(picture, mirrored=mirrored))
