"""The embedded recognizer: two small networks and a taxonomy, on one core, without any service."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lumitag.domain import Recognition
from lumitag.recognition.decode import BILINEAR, LANCZOS, DecodeLimits, Picture, decode
from lumitag.recognition.detections import Detections, Floats, find_detections, ssd_anchors
from lumitag.recognition.fusion import fuse, softmax
from lumitag.recognition.taxonomy import Taxonomy
from lumitag.recognition.weights import CLASSIFIER, DETECTOR, read_weights, weights_folder

RECOGNIZER: Final = "embedded"

CLASSIFIER_SIDE: Final = 260
DETECTOR_SIDE: Final = 300
TEMPERATURE: Final = 0.6  # see docs/models.md, "Confidence"

# Raise it when the same bytes could get other labels for a reason that is not in the files: decoding, resizing,
# box decoding, fusion.
_REVISION: Final = 1


@dataclass(frozen=True)
class EmbeddedRecognizer:
    """Recognizes images in this process. Safe to share between threads; the answer never depends on how many."""

    classifier: onnxruntime.InferenceSession
    detector: onnxruntime.InferenceSession
    taxonomy: Taxonomy
    anchors: Floats
    floor_percent: float
    limits: DecodeLimits
    model_version: str

    @classmethod
    def load(
        cls,
        floor_percent: float = 30.0,
        limits: DecodeLimits | None = None,
        folder: Traversable | None = None,
    ) -> EmbeddedRecognizer:
        """Return a recognizer that is ready. Takes about 0.2 s and 90 MiB; do it once a process.

        Args:
            floor_percent: labels less confident than this are not even returned; above 0, below 100.
            limits: what is decoded at all.
            folder: where the model files are, if not inside the package.

        Raises WeightsChanged where a model file is not the released one.
        """
        folder = folder or weights_folder()
        classifier, detector = read_weights(CLASSIFIER, folder), read_weights(DETECTOR, folder)
        taxonomy = (resources.files("lumitag.recognition") / "taxonomy.json").read_bytes()
        return cls(
            classifier=_session(classifier),
            detector=_session(detector),
            taxonomy=Taxonomy.from_json(taxonomy),
            anchors=ssd_anchors(),
            floor_percent=floor_percent,
            limits=limits or DecodeLimits(),
            model_version=_model_version(classifier, detector, taxonomy),
        )

    def recognize(self, content: bytes) -> Recognition:
        """Return what is in an image.

        Raises NotAnImage, DamagedImage, ImageTooSmall or ImageTooLarge for bytes that will never be recognized.
        """
        picture = decode(content, self.limits, needed_side=max(CLASSIFIER_SIDE, DETECTOR_SIDE))
        labels = fuse(self.taxonomy, self._classify(picture), self._detect(picture), self.floor_percent)
        return Recognition(labels, picture.width, picture.height, RECOGNIZER, self.model_version)

    def _classify(self, picture: Picture) -> NDArray[np.float64]:
        [logits] = _run(self.classifier, picture.squeezed(CLASSIFIER_SIDE, LANCZOS))
        return softmax(logits[0], TEMPERATURE)

    def _detect(self, picture: Picture) -> Detections:
        box_encodings, class_logits = _run(self.detector, picture.squeezed(DETECTOR_SIDE, BILINEAR))
        return find_detections(box_encodings[0], class_logits[0], self.anchors, self.floor_percent / 100)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """Return a session that uses the calling thread and no other: processes share a machine better than threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8]) -> list[Any]:
    return list(session.run(None, {"image": pixels[None]}))


def _model_version(*files: bytes) -> str:
    """Return a short name that changes whenever the same bytes could get other labels."""
    settings = {"revision": _REVISION, "temperature": TEMPERATURE, "sides": [CLASSIFIER_SIDE, DETECTOR_SIDE]}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        digest.update(hashlib.sha256(file).digest())
    return f"embedded-{digest.hexdigest()[:12]}"
