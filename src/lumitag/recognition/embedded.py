"""The embedded recognizer: two small networks and a taxonomy, on one core, without any service."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lumitag.domain import Recognition
from lumitag.recognition.classifier import Classifier
from lumitag.recognition.confidence import TEMPERATURE, least_score, softmax, weigh
from lumitag.recognition.decode import BILINEAR, LANCZOS, DecodeLimits, Picture, decode
from lumitag.recognition.detections import Detections, find_detections, ssd_anchors
from lumitag.recognition.detector import Detector, Outputs
from lumitag.recognition.fusion import fuse, least_confidence
from lumitag.recognition.network import Network, open_session
from lumitag.recognition.panorama import put_together, regions_of
from lumitag.recognition.preprocessing import Preprocessing
from lumitag.recognition.properties import COPY_SIDE, describe
from lumitag.recognition.regions import WHOLE
from lumitag.recognition.second_look import look_again
from lumitag.recognition.taxonomy import Taxonomy
from lumitag.recognition.vocabulary import delivered_taxonomy, with_labels_file
from lumitag.recognition.weights import CLASSIFIER, DETECTOR, read_weights, weights_folder

RECOGNIZER: Final = "embedded"

CLASSIFIER_SIDE: Final = 260
DETECTOR_SIDE: Final = 300

# Raise it when the same bytes could get other labels or properties for a reason that is not in the files: decoding,
# resizing, box decoding, fusion, how colours and quality are measured.
_REVISION: Final = 2


@dataclass(frozen=True)
class EmbeddedRecognizer:
    """Recognizes images in this process. Safe to share between threads; the answer never depends on how many.

    Attributes:
        meanings: what the outputs of both models mean. Whether they agree does not depend on what the user makes of it.
        taxonomy: the labels that are given, as the user wants them.
    """

    classifier: Classifier
    detector: Detector
    meanings: Taxonomy
    taxonomy: Taxonomy
    floor_percent: float
    limits: DecodeLimits
    image_properties: bool
    is_embedded_pair: bool
    model_version: str

    @classmethod
    def load(
        cls,
        floor_percent: float = 30.0,
        limits: DecodeLimits | None = None,
        folder: Traversable | None = None,
        *,
        classifier_model: Path | None = None,
        detector_model: Path | None = None,
        labels_file: Path | None = None,
        image_properties: bool = True,
    ) -> EmbeddedRecognizer:
        """Return a recognizer that is ready. Takes about 0.2 s and 90 MiB; do it once a process.

        Args:
            floor_percent: labels less confident than this are not even returned; above 0, below 100.
            limits: what is decoded at all.
            folder: where the model files are, if not inside the package.
            classifier_model: the description of an own classifier that takes the place of the embedded one.
            detector_model: the same for the detector.
            labels_file: what the user lays over the vocabulary.
            image_properties: whether colours and quality are measured as well.

        Raises WeightsChanged where a model file is not the released one, InvalidModel for an own one that does not fit,
        InvalidLabelsFile.
        """
        folder = folder or weights_folder()
        meanings = delivered_taxonomy()
        classifier, meanings, classifier_file = _classifier(classifier_model, folder, meanings)
        detector, meanings, detector_file = _detector(detector_model, folder, meanings)
        taxonomy = with_labels_file(meanings, labels_file)
        return cls(
            classifier=classifier,
            detector=detector,
            meanings=meanings,
            taxonomy=taxonomy,
            floor_percent=floor_percent,
            limits=limits or DecodeLimits(),
            image_properties=image_properties,
            is_embedded_pair=classifier_model is None and detector_model is None,
            model_version=_model_version(image_properties, classifier_file, detector_file, taxonomy.content),
        )

    def recognize(self, content: bytes) -> Recognition:
        """Return what is in an image.

        Raises NotAnImage, DamagedImage, ImageTooSmall or ImageTooLarge for bytes that will never be recognized.
        """
        picture = decode(content, self.limits, self._needed_side)
        labels = fuse(self.taxonomy, *self._opinions(picture), self.floor_percent)
        properties, labels = describe(picture, labels) if self.image_properties else (None, labels)
        return Recognition(labels, picture.width, picture.height, RECOGNIZER, self.model_version, properties)

    def _opinions(self, picture: Picture) -> tuple[NDArray[np.float64], Detections]:
        """Return what the classifier thinks of every concept and what the detector found, both as confidences.

        What a part of a wide or tall picture shows, the picture shows.
        """
        regions = regions_of(picture) if self.is_embedded_pair else [WHOLE]
        if regions == [WHOLE]:
            return self._opinions_of_part(picture)
        concepts, found = zip(*(self._opinions_of_part(picture.cut(region)) for region in regions), strict=True)
        return np.max(concepts, axis=0), put_together(list(found), regions)

    def _opinions_of_part(self, picture: Picture) -> tuple[NDArray[np.float64], Detections]:
        """The corrections were fitted to the embedded pair; other models are taken at their word."""
        least = least_confidence(self.floor_percent) / 100
        first = self.classifier.probabilities(picture)
        if not self.is_embedded_pair:
            return self.taxonomy.roll_up(first), self.detector.detect(picture, least)
        detections = weigh(self.detector.detect(picture, least_score(least)), self.meanings, first)
        return look_again(self.classifier, self.taxonomy, picture, first, detections), detections

    @property
    def _needed_side(self) -> int:
        own = COPY_SIDE if self.image_properties else 0
        return max(own, *(model.network.preprocessing.needed_side for model in (self.classifier, self.detector)))


def _classifier(own: Path | None, folder: Traversable, taxonomy: Taxonomy) -> tuple[Classifier, Taxonomy, bytes]:
    """Return a classifier, the taxonomy of its classes, and what its answers depend on."""
    if own is None:
        model = read_weights(CLASSIFIER, folder)
        return _embedded_classifier(model), taxonomy, model
    from lumitag.recognition.own_models import own_classifier  # noqa: PLC0415 - costs time that few have to spend

    return own_classifier(own, taxonomy)


def _detector(own: Path | None, folder: Traversable, taxonomy: Taxonomy) -> tuple[Detector, Taxonomy, bytes]:
    """Return a detector, the taxonomy of its classes, and what its answers depend on."""
    if own is None:
        model = read_weights(DETECTOR, folder)
        return _embedded_detector(model), taxonomy, model
    from lumitag.recognition.own_models import own_detector  # noqa: PLC0415 - likewise

    return own_detector(own, taxonomy)


def _embedded_classifier(model: bytes) -> Classifier:
    preprocessing = Preprocessing(CLASSIFIER_SIDE, CLASSIFIER_SIDE, resampling=LANCZOS)
    return Classifier(Network(open_session(model), preprocessing), lambda logits: softmax(logits, TEMPERATURE))


def _embedded_detector(model: bytes) -> Detector:
    preprocessing = Preprocessing(DETECTOR_SIDE, DETECTOR_SIDE, resampling=BILINEAR)
    anchors = ssd_anchors()

    def read(outputs: Outputs, min_score: float) -> Detections:
        return find_detections(outputs[0][0], outputs[1][0], anchors, min_score)

    return Detector(Network(open_session(model), preprocessing), read)


def _model_version(image_properties: bool, *files: bytes) -> str:
    """Return a short name that changes whenever the same bytes could get other labels or properties."""
    settings = {
        "revision": _REVISION,
        "temperature": TEMPERATURE,
        "sides": [CLASSIFIER_SIDE, DETECTOR_SIDE],
        "properties": image_properties,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        digest.update(hashlib.sha256(file).digest())
    return f"embedded-{digest.hexdigest()[:12]}"
