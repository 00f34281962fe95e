"""Parts of a picture, as ratios of it: left, top, right, bottom."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Region = tuple[float, float, float, float]

WHOLE: Final[Region] = (0.0, 0.0, 1.0, 1.0)


def in_whole(boxes: NDArray[np.floating[Any]], region: Region) -> NDArray[np.float32]:
    """Return boxes in a region as boxes in the whole picture: (n, 4), left, top, right, bottom, as ratios of each."""
    left, top, right, bottom = region
    corners = np.array([left, top, left, top], np.float32)
    sizes = np.array([right - left, bottom - top] * 2, np.float32)
    return np.asarray(corners + boxes * sizes, np.float32)
