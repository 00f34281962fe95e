"""What may stand in a CSV or JSON file, and which words a wrong one gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lumitag.errors import InvalidGroundTruth
from lumitag.evaluation.coco_categories import COCO_IDS
from lumitag.evaluation.truth import GroundTruth, TruthKind
from lumitag.evaluation.truth_coco import read_coco
from lumitag.evaluation.truth_csv import read_csv
from lumitag.evaluation.vocabulary import Vocabulary


def csv_truth(vocabulary: Vocabulary, text: str, skip_unknown: bool = False) -> GroundTruth:
    return read_csv(text, "truth.csv", vocabulary, TruthKind.SUBJECT, skip_unknown)


def csv_concepts(vocabulary: Vocabulary, text: str, skip_unknown: bool = False) -> dict[str, set[str]]:
    images = csv_truth(vocabulary, text, skip_unknown).images
    return {file: set(image.concepts) for file, image in images.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,label\na.jpg,Zebra\n", {"a.jpg": {"zebra"}}),
        ("\ufeffFile,Label\r\na.jpg,hat alias\r\n", {"a.jpg": {"hat"}}),
        ("file,label\na.jpg,Zebra; Dog|hat\na.jpg,Person\n", {"a.jpg": {"zebra", "dog", "hat", "person"}}),
        ("image,WordNet ID\na.jpg,poodle\n", {"a.jpg": {"poodle"}}),
        ("file,ImageNet Index\na.jpg,1\n", {"a.jpg": {"beagle"}}),
        ("file,imagenet_index,wnid,name,author\na.jpg,0,n1,raw name,X\n", {"a.jpg": {"poodle"}}),  # the index counts
        ('label,file\nZebra,"a,b\n.jpg"\n\n', {"a,b\n.jpg": {"zebra"}}),
    ],
)
def test_forms_of_csv(vocabulary: Vocabulary, text: str, expected: dict[str, set[str]]) -> None:
    assert csv_concepts(vocabulary, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'truth.csv, line 1: there is no column "file". The first line names the columns.'),
        ("name of it\n", 'truth.csv, line 1: there is no column "file". The first line names the columns.'),
        (
            "file,colour\na,b\n",
            'truth.csv, line 1: there is no column of labels. Name one "label", "wnid" or "imagenet_index".',
        ),
        ("file,label\n", "truth.csv names no file with a label of the vocabulary. Add a row a file."),
        ("file,label\n,Dog\n", "truth.csv, line 2: no file is named. Fill it in, or remove the line."),
        ("file,label\na.jpg, ;\n", "truth.csv, line 2: no label is given. Fill it in, or remove the line."),
        (
            "file,label\na.jpg,Dog\nb.jpg,Zebbra\n",
            (
                'truth.csv, line 3: "Zebbra" is no label of the vocabulary. Did you mean Zebra? '
                "Correct it, or leave such labels out with --skip-unknown."
            ),
        ),
        ("file,imagenet_index\na.jpg,-1\n", 'truth.csv, line 2: "-1" is no ImageNet index. Write 0 to 999.'),
        (
            "file,imagenet_index\na.jpg,1000\n",
            (
                "truth.csv, line 2: 1000 is no class of the vocabulary. ImageNet counts them from 0 to 999. "
                "Correct it, or leave such labels out with --skip-unknown."
            ),
        ),
        (
            "file,label\na.jpg,Dog,Zebra\n",
            "truth.csv, line 2: 3 cells, but 2 columns. Put a cell that holds a comma in quotes.",
        ),
        ('file,label\na.jpg,"Dog\n', "truth.csv, line 2: unexpected end of data. Save it as CSV again."),
    ],
)
def test_a_wrong_csv_gets_the_line_and_a_way_out(vocabulary: Vocabulary, text: str, message: str) -> None:
    with pytest.raises(InvalidGroundTruth) as caught:
        csv_truth(vocabulary, text)

    assert caught.value.message == message


def test_unknown_labels_may_be_left_out_and_are_counted(vocabulary: Vocabulary) -> None:
    truth = csv_truth(vocabulary, "file,label\na.jpg,Dog;Qux\nb.jpg,Qux\n", skip_unknown=True)

    assert set(truth.images) == {"a.jpg"}
    assert truth.skipped == (("Qux", 2),)


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 50}],
        "categories": [{"id": 3, "name": "dog"}, {"id": 4, "name": "person"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 30, 40]}],
        **changes,
    }


def coco_truth(vocabulary: Vocabulary, value: object, skip_unknown: bool = False) -> GroundTruth:
    return read_coco(json.dumps(value), "truth.json", vocabulary, skip_unknown)


def test_coco_by_the_names_of_its_categories(vocabulary: Vocabulary) -> None:
    truth = coco_truth(vocabulary, coco())

    assert truth.annotated == {"dog", "person"}
    assert truth.images["a.jpg"].concepts == {"dog"}
    [box] = truth.images["a.jpg"].boxes
    assert (box.concept, box.box, box.area, box.is_crowd) == ("dog", (1, 2, 30, 40), 1200, False)


def test_unknown_categories_may_be_left_out_and_are_counted(vocabulary: Vocabulary) -> None:
    truth = coco_truth(vocabulary, coco(categories=[{"id": 3, "name": "qux"}]), skip_unknown=True)

    assert truth.skipped == (("qux", 1),)
    assert truth.images["a.jpg"].boxes == ()


BOX = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 30, 40]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], 'truth.json: it must be an object with "images", "annotations" and "categories".'),
        ({}, "truth.json.categories: it must be a list."),
        (coco(images=[1]), "truth.json: images[0] must be an object."),
        (coco(images=[{"id": "7"}]), "truth.json: images[0].id: it must be a whole number."),
        (coco(images=[{"id": 7, "width": 1, "height": 1}]), "truth.json: image 7.file_name: it must be a text."),
        (
            coco(images=[{"id": 7, "file_name": "a", "width": 0, "height": 1}]),
            "truth.json: image 7: width and height must be at least 1 pixel.",
        ),
        (
            coco(categories=[{"id": 3, "name": "dgo"}]),
            (
                'truth.json: categories[0]: "dgo" is no label of the vocabulary. '
                "Rename it, or leave such categories out with --skip-unknown."
            ),
        ),
        (
            coco(annotations=[{**BOX, "image_id": 8}]),
            "truth.json: annotations[0].image_id: there is no image with the id 8.",
        ),
        (
            coco(annotations=[BOX, {**BOX, "category_id": 9}]),
            "truth.json: annotations[1].category_id: there is no category with the id 9.",
        ),
        (
            coco(annotations=[{**BOX, "bbox": [1, 2, 3]}]),
            "truth.json: annotations[0].bbox: it must be four numbers: left, top, width and height in pixels.",
        ),
        (
            coco(annotations=[{**BOX, "bbox": [1, 2, float("nan"), 4]}]),
            "truth.json: annotations[0].bbox: it must be four numbers: left, top, width and height in pixels.",
        ),
        (coco(annotations=[{**BOX, "area": "big"}]), "truth.json: annotations[0].area: it must be a number of pixels."),
    ],
)
def test_a_wrong_coco_file_gets_the_place_and_a_way_out(vocabulary: Vocabulary, value: object, message: str) -> None:
    with pytest.raises(InvalidGroundTruth) as caught:
        coco_truth(vocabulary, value)

    assert caught.value.message == message


def test_what_is_not_json_gets_its_line(vocabulary: Vocabulary) -> None:
    with pytest.raises(InvalidGroundTruth, match=r"truth\.json, line 2: .* It must be JSON\."):
        read_coco('{"images":\n oops', "truth.json", vocabulary, skip_unknown=False)


def test_the_categories_of_coco_are_eighty() -> None:
    assert len(COCO_IDS) == 80
    assert (COCO_IDS["person"], COCO_IDS["teddy bear"], COCO_IDS["toothbrush"]) == (1, 88, 90)
    assert (COCO_IDS["surfboard"], COCO_IDS["bed"], COCO_IDS["refrigerator"]) == (42, 65, 82)
