"""A picture becomes the input of a network, upright, and boxes find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lumitag.recognition.decode import LANCZOS, Picture
from lumitag.recognition.orientation import swaps_sides, turn_upright
from lumitag.recognition.preprocessing import Fit, Preprocessing
from tests.recognition.pictures import corners, noise, quadrants

FITS: tuple[Fit, ...] = ("squeeze", "crop", "letterbox", "letterbox_corner")
INVERSE_TURN = {5: 5, 6: 8, 7: 7, 8: 6}


def stored(image: Image.Image, orientation: int) -> Picture:
    """Return the picture as a camera that was held like that would have stored it."""
    raster = turn_upright(image, INVERSE_TURN.get(orientation, orientation))
    return Picture(raster, orientation, *image.size)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", FITS)
def test_the_input_is_upright(fit: Fit, orientation: int) -> None:
    picture = stored(quadrants(160, 80), orientation)
    assert picture.raster.size == ((80, 160) if swaps_sides(orientation) else (160, 80))

    pixels = Preprocessing(40, 80, fit=fit).tensor(picture)[0]

    assert corners(pixels) == "RGBW"


@pytest.mark.parametrize("side", [260, 300])
def test_squeezing_is_what_it_was(side: int) -> None:
    picture = Picture(noise(400, 300), 6, 300, 400)

    tensor = Preprocessing(side, side, resampling=LANCZOS).tensor(picture)

    np.testing.assert_array_equal(tensor[0], picture.squeezed(side, LANCZOS))


def test_a_crop_is_the_middle() -> None:
    """Of 300 x 100 the middle 100 x 100, and half of that."""
    image = Image.new("RGB", (300, 100))
    image.paste((255, 255, 255), (125, 25, 175, 75))
    picture = Picture(image, 1, 300, 100)

    pixels = Preprocessing(50, 50, fit="crop", crop_fraction=0.5).tensor(picture)

    assert (pixels == 255).all()
    assert Preprocessing(50, 50, fit="crop", crop_fraction=0.5).needed_side == 100


@pytest.mark.parametrize(("fit", "top"), [("letterbox", 16), ("letterbox_corner", 0)])
def test_a_letterbox_has_grey_around_the_whole_picture(fit: Fit, top: int) -> None:
    pixels = Preprocessing(64, 64, fit=fit).tensor(Picture(Image.new("RGB", (200, 100)), 1, 200, 100))[0]

    rows = np.flatnonzero((pixels == 0).all(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (top, top + 31)
    assert set(np.unique(pixels)) == {0, 114}


@given(
    st.sampled_from(FITS),
    st.tuples(st.integers(80, 400), st.integers(80, 400)),
    st.tuples(st.integers(16, 64), st.integers(16, 64)),
    st.floats(0.5, 1),
)
def test_a_region_says_where_the_input_lies_in_the_picture(
    fit: Fit, size: tuple[int, int], shape: tuple[int, int], fraction: float
) -> None:
    """The pixels of a region stand in the proportions of the picture, but for a squeeze and the rounding to pixels."""
    preprocessing = Preprocessing(*shape, fit=fit, crop_fraction=fraction if fit == "crop" else 1)
    left, top, right, bottom = preprocessing.region(Picture(Image.new("RGB", (1, 1)), 1, *size))

    if fit == "squeeze":
        assert (left, top, right, bottom) == (0, 0, 1, 1)
        return
    across, down = (right - left) * size[0] / shape[1], (bottom - top) * size[1] / shape[0]
    assert across == pytest.approx(down, rel=0.2)
    assert (left <= 0 and right >= 1) == (fit != "crop") or fraction == 1
    if fit != "letterbox_corner":  # In the middle, to the pixel.
        assert abs(left + right - 1) * shape[1] <= (right - left) * 1.001
        assert abs(top + bottom - 1) * shape[0] <= (bottom - top) * 1.001


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", 255), ("float16", 1.0), ("float32", 1.0)])
def test_floats_are_normalised_and_integers_are_not(dtype: str, expected: float) -> None:
    tensor = Preprocessing(8, 8, dtype=dtype, std=(1, 1, 1)).tensor(Picture(quadrants(96, 96), 1, 96, 96))  # type: ignore[arg-type]

    assert tensor.dtype == dtype
    assert tensor.max() == expected


def test_mean_and_std_follow_the_channels_of_the_model() -> None:
    red = Picture(Image.new("RGB", (96, 96), (255, 0, 0)), 1, 96, 96)
    bgr = Preprocessing(8, 8, layout="nchw", colour="bgr", dtype="float32", mean=(0, 0, 0.5), std=(1, 1, 0.25))

    tensor = bgr.tensor(red)

    assert tensor.shape == (1, 3, 8, 8)
    assert tensor[0, :, 0, 0].tolist() == [0, 0, 2]


def test_a_model_without_a_batch_gets_one_picture() -> None:
    assert Preprocessing(8, 16, is_batch=False).tensor(Picture(quadrants(), 1, 160, 120)).shape == (8, 16, 3)
