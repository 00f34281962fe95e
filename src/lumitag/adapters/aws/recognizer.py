"""RekognitionRecognizer: Amazon Rekognition's DetectLabels, in the words of `lumitag.domain`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from lumitag.adapters.aws._clients import new_client
from lumitag.adapters.aws._rekognition_errors import amazon_errors_translated
from lumitag.adapters.aws._rekognition_image import RekognitionImage, image_of_bytes, images_of
from lumitag.domain import Instance, Json, Label, Recognition
from lumitag.errors import ImageNotFound
from lumitag.recognition.decode import DecodeLimits
from lumitag.recognition.fusion import to_bounding_box
from lumitag.recognition.taxonomy import Concept, ids_by_word

__all__ = ["RekognitionImage", "RekognitionRecognizer", "build_rekognition_recognizer", "images_of"]

RECOGNIZER: Final = "rekognition"

_KNOWN_MODEL: Final = "3.0"  # of the list at https://docs.aws.amazon.com/rekognition/latest/dg/labels.html
_MAX_LABELS: Final = 1000  # the most that Amazon gives; the ancestors of a label count


class RekognitionClient(Protocol):
    """What is used of boto3's client."""

    def detect_labels(self, **request: object) -> Json:
        """Return Amazon's answer. Raises botocore's errors."""
        ...


def _no_stored_images(key: str) -> RekognitionImage:
    raise ImageNotFound(f"There is no stored image {key}: this recognizer is only given bytes.")


class RekognitionRecognizer:
    """Asks Amazon Rekognition what is in an image. Every answer costs money. Safe to share between threads.

    Args:
        client: of boto3, for Rekognition.
        concepts: id of a concept by its name and its aliases, each casefolded: see `ids_by_word`.
        floor_percent: labels less confident than this are not asked for.
        limits: what is decoded at all, to send its bytes.
        image_of: returns how Rekognition is given a stored image, by its key. Raises ImageNotFound.
    """

    def __init__(
        self,
        client: RekognitionClient,
        concepts: Mapping[str, str],
        floor_percent: float,
        limits: DecodeLimits,
        image_of: Callable[[str], RekognitionImage] = _no_stored_images,
    ) -> None:
        self._client = client
        self._concepts = concepts
        self._floor_percent = floor_percent
        self._limits = limits
        self._image_of = image_of
        self._model_version = _model_version(_KNOWN_MODEL)

    @property
    def model_version(self) -> str:
        """Amazon's model as of the last answer; before the first, the one that was current when this was written.

        Amazon names its model in answers only, so nobody can know it without paying for one.
        """
        return self._model_version

    def recognize(self, key: str) -> Recognition:
        """Return everything found in the stored image. Raises as the port says."""
        return self._ask(self._image_of(key))

    def recognize_bytes(self, content: bytes) -> Recognition:
        """Return everything found in an image that is given as a whole file. Raises as `recognize` does.

        WebP, GIF, turned PNGs and files above 5 MiB are sent as a JPEG. Before that the image is decoded in this
        process, so the bytes of strangers belong into one that may be killed.
        """
        return self._ask(image_of_bytes(content, self._limits))

    def _ask(self, image: RekognitionImage) -> Recognition:
        with amazon_errors_translated():
            answer = self._client.detect_labels(
                Image=image.parameter, MinConfidence=self._floor_percent, MaxLabels=_MAX_LABELS
            )
            labels = _labels(answer["Labels"], self._concepts)
            model_version = _model_version(answer["LabelModelVersion"])
        self._model_version = model_version
        return Recognition(labels, image.width, image.height, RECOGNIZER, model_version)


def build_rekognition_recognizer(
    concepts: Iterable[Concept],
    floor_percent: float,
    limits: DecodeLimits | None = None,
    image_of: Callable[[str], RekognitionImage] = _no_stored_images,
) -> RekognitionRecognizer:
    """Return a recognizer with the AWS credentials and the region of the environment; nothing is sent yet.

    Args:
        concepts: of the taxonomy, so that a label has the same concept as with the embedded recognizer.
        floor_percent: labels less confident than this are not asked for.
        limits: what is decoded at all.
        image_of: as for RekognitionRecognizer, such as `images_of` a store; without it only bytes are recognized.

    Raises InvalidSettings where boto3, the region or the profile is missing.
    """
    client = new_client("rekognition")
    return RekognitionRecognizer(client, ids_by_word(concepts), floor_percent, limits or DecodeLimits(), image_of)


def _model_version(model: str) -> str:
    return f"{RECOGNIZER}-{model}"


def _labels(found: list[Json], concepts: Mapping[str, str]) -> tuple[Label, ...]:
    labels = [_label(one, concepts) for one in found]
    return tuple(sorted(labels, key=lambda label: (-label.confidence, label.name)))


def _label(found: Json, concepts: Mapping[str, str]) -> Label:
    name, aliases = found["Name"], _names(found, "Aliases")
    return Label(
        name=name,
        concept=_concept(name, aliases, concepts),
        confidence=round(found["Confidence"], 2),
        parents=tuple(sorted(_names(found, "Parents"))),
        aliases=aliases,
        categories=_names(found, "Categories"),
        instances=_instances(found),
    )


def _names(found: Json, member: str) -> tuple[str, ...]:
    return tuple(one["Name"] for one in found.get(member, []))


def _concept(name: str, aliases: tuple[str, ...], concepts: Mapping[str, str]) -> str:
    """Return Lumitag's own concept where it has one under that name, so that both recognizers can be compared."""
    own = (concepts.get(known.casefold()) for known in (name, *aliases))
    return next(filter(None, own), f"{RECOGNIZER}:{name}")


def _instances(found: Json) -> tuple[Instance, ...]:
    """Return the instances, best first; a box outside the picture is none."""
    instances = (_instance(one) for one in found.get("Instances", []))
    inside = (instance for instance in instances if instance is not None)
    return tuple(sorted(inside, key=lambda instance: -instance.confidence))


def _instance(found: Json) -> Instance | None:
    box = found["BoundingBox"]
    left, top = box["Left"], box["Top"]
    bounding_box = to_bounding_box(left, top, left + box["Width"], top + box["Height"])
    return None if bounding_box is None else Instance(bounding_box, round(found["Confidence"], 2))
