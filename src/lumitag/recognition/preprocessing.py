"""From a decoded picture to the numbers that a network takes: size, order of axes and colours, normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumitag.recognition.decode import BILINEAR, Picture
from lumitag.recognition.regions import WHOLE, Region

Fit = Literal["squeeze", "crop", "letterbox", "letterbox_corner"]
Dtype = Literal["uint8", "float16", "float32"]

_BORDER: Final = (114, 114, 114)  # the grey that detectors of the YOLO family are trained with


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes the input of a network. The defaults are those of the embedded models.

    Attributes:
        height, width: pixels of the input.
        fit: `squeeze` the whole picture into the input, `crop` its middle, or `letterbox` it: all of it in its own
            proportions, with grey around it (`letterbox_corner`: with grey only at the right and below).
        crop_fraction: of the largest middle that has the proportions of the input; only for `crop`.
        resampling: a filter of Pillow; all of them are antialiased.
        layout: `nhwc` or `nchw`.
        colour: `rgb` or `bgr`.
        dtype: of the input; integers get the pixels as they are, 0 to 255.
        scale, mean, std: floats get `(pixel * scale - mean) / std`, a mean and a std for each channel.
        is_batch: whether the input has an axis for several pictures.
    """

    height: int
    width: int
    fit: Fit = "squeeze"
    crop_fraction: float = 1.0
    resampling: Image.Resampling = BILINEAR
    layout: Literal["nhwc", "nchw"] = "nhwc"
    colour: Literal["rgb", "bgr"] = "rgb"
    dtype: Dtype = "uint8"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    is_batch: bool = True

    @property
    def needed_side(self) -> int:
        """Pixels that both sides of a picture should have, so that nothing is enlarged that need not be."""
        return round(max(self.height, self.width) / self.crop_fraction)

    @property
    def width_axis(self) -> int:
        """Which axis of the input runs from left to right, counted from the last."""
        return -2 if self.layout == "nhwc" else -1

    def tensor(self, picture: Picture) -> NDArray[Any]:
        """Return the input for one picture: (1, height, width, 3) or (1, 3, height, width)."""
        pixels = self._pixels(picture)
        pixels = pixels[..., ::-1] if self.colour == "bgr" else pixels
        values = pixels if self.dtype == "uint8" else self._normalised(pixels)
        values = values.transpose(2, 0, 1) if self.layout == "nchw" else values
        return np.ascontiguousarray(values[None] if self.is_batch else values)

    def region(self, picture: Picture) -> Region:
        """Return what of the picture the input shows: left, top, right, bottom, as ratios of the picture.

        A letterbox shows more than there is: its ratios go below 0 and beyond 1.
        """
        if self.fit == "squeeze":
            return WHOLE
        if self.fit == "crop":
            return self._middle(picture)
        left, top, width, height = self._place(picture)
        return (-left / width, -top / height, (self.width - left) / width, (self.height - top) / height)

    def _middle(self, picture: Picture) -> Region:
        share = picture.width * self.height / (picture.height * self.width)  # above 1: too wide for the input
        width, height = self.crop_fraction / max(share, 1.0), self.crop_fraction * min(share, 1.0)
        return (0.5 - width / 2, 0.5 - height / 2, 0.5 + width / 2, 0.5 + height / 2)

    def _place(self, picture: Picture) -> tuple[int, int, int, int]:
        """Return where in the input the whole picture lies: left, top, width, height in pixels."""
        scale = min(self.width / picture.width, self.height / picture.height)
        width, height = (max(1, round(side * scale)) for side in (picture.width, picture.height))
        if self.fit == "letterbox_corner":
            return 0, 0, width, height
        return (self.width - width) // 2, (self.height - height) // 2, width, height

    def _pixels(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the picture, upright, as large as the input: (height, width, 3), RGB."""
        if self.fit == "squeeze" and self.height == self.width:
            return picture.squeezed(self.width, self.resampling)  # others may have asked for the same copy
        return np.asarray(self._fitted(picture))

    def _fitted(self, picture: Picture) -> Image.Image:
        """Return the picture, upright, as large as the input."""
        if self.fit in {"squeeze", "crop"}:
            return picture.resized(self.width, self.height, self.resampling, self.region(picture))
        left, top, width, height = self._place(picture)
        canvas = Image.new("RGB", (self.width, self.height), _BORDER)
        canvas.paste(picture.resized(width, height, self.resampling), (left, top))
        return canvas

    def _normalised(self, pixels: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return np.asarray((pixels * np.float32(self.scale) - mean) / std, dtype=self.dtype)
