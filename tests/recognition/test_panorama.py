"""Wide and tall pictures are seen part by part, and what is found lies where it is in the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lumitag.recognition.decode import Picture
from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.recognition.panorama import put_together, regions_of
from lumitag.recognition.regions import WHOLE
from tests.photographs import photograph
from tests.recognition.pictures import file_of
from tests.recognition.test_confidence import boxes

DOG, CAT = 18, 17
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)

sides = st.integers(80, 10_000)


def picture(width: int, height: int) -> Picture:
    return Picture(Image.new("RGB", (1, 1)), 1, width, height)


@pytest.mark.parametrize(("width", "height"), [(300, 300), (1920, 1080), (1080, 1920), (570, 300)])
def test_an_ordinary_picture_is_seen_as_a_whole(width: int, height: int) -> None:
    assert regions_of(picture(width, height)) == [WHOLE]


@pytest.mark.parametrize(
    ("width", "height", "parts"), [(600, 300, 3), (300, 600, 3), (1300, 500, 4), (80, 400, 8), (10_000, 400, 8)]
)
def test_a_long_picture_is_seen_in_as_many_parts_as_it_has_squares(width: int, height: int, parts: int) -> None:
    assert len(regions_of(picture(width, height))) == parts


@given(sides, sides)
def test_the_parts_cover_the_picture_and_share_their_borders(width: int, height: int) -> None:
    places = np.array(regions_of(picture(width, height)))
    along = places[:, [0, 2]] if width >= height else places[:, [1, 3]]

    assert along[0, 0] == pytest.approx(0)
    assert along[-1, 1] == pytest.approx(1)
    assert np.all(along[1:, 0] < along[:-1, 1])
    assert np.all((places >= 0) & (places <= 1 + 1e-9))


def test_a_tall_picture_is_cut_across() -> None:
    assert all((left, right) == (0, 1) for left, _, right, _ in regions_of(picture(100, 900)))


def test_what_is_found_in_a_part_lies_where_it_is_in_the_whole() -> None:
    left = boxes((DOG, 0.6, (0.0, 0.2, 1.0, 0.8)))
    right = boxes((CAT, 0.9, (0.5, 0.0, 1.0, 0.5)))

    found = put_together([left, right], [LEFT, RIGHT])

    assert found.classes.tolist() == [CAT, DOG]
    assert found.boxes.tolist() == pytest.approx(np.array([[0.75, 0.0, 1.0, 0.5], [0.0, 0.2, 0.5, 0.8]]))


def test_what_two_parts_show_is_found_once() -> None:
    places = [(0.0, 0.0, 0.6, 1.0), (0.4, 0.0, 1.0, 1.0)]
    on_the_border = [boxes((DOG, 0.6, (2 / 3, 0, 1, 1))), boxes((DOG, 0.9, (0, 0, 1 / 3, 1)))]

    found = put_together(on_the_border, places)

    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.boxes[0] == pytest.approx(np.array([0.4, 0, 0.6, 1]), abs=1e-6)


def test_each_thing_in_a_panorama_is_named_and_located(recognizer: EmbeddedRecognizer) -> None:
    """Squeezed into a square, three photographs side by side are three smears."""
    names = ("cat", "motorcycle", "coffee")
    panorama = Image.new("RGB", (1200, 400))
    for place, name in enumerate(names):
        panorama.paste(photograph(name).resize((400, 400)), (400 * place, 0))

    labels = {label.name: label for label in recognizer.recognize(file_of(panorama, "PNG")).labels}

    for place, name in enumerate(("Cat", "Motorcycle", "Cup")):
        box = labels[name].instances[0].bounding_box
        assert labels[name].confidence >= 70
        assert place / 3 <= box.left + box.width / 2 <= (place + 1) / 3
