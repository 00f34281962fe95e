"""ONNXRecognizer: the embedded models over a local object store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lumitag.adapters.local._recognizer_pool import RecognizerPool
from lumitag.domain import Recognition
from lumitag.ports import ObjectStore
from lumitag.settings import Settings

__all__ = ["ONNXRecognizer", "RecognizerPool", "build_recognizer_pool"]


class ONNXRecognizer:
    """Recognizes stored images with the embedded models, in processes of their own."""

    def __init__(self, object_store: ObjectStore, pool: RecognizerPool) -> None:
        self._object_store = object_store
        self._pool = pool

    @property
    def model_version(self) -> str:
        """The version of the loaded models."""
        return self._pool.model_version

    def recognize(self, key: str) -> Recognition:
        """Return everything found in the stored image. Raises as the port says."""
        with self._object_store.open(key) as file:
            return self._pool.recognize(file)


def build_recognizer_pool(
    settings: Settings, on_restart: Callable[[str], None] = lambda _cause: None
) -> RecognizerPool:
    """Return a pool with the limits that `settings` gives; it starts when it is first needed."""
    return RecognizerPool(
        settings.workers,
        {
            "memory_bytes": settings.recognizer_memory_bytes,
            "max_bytes": settings.max_image_bytes,
            "max_pixels": settings.max_image_pixels,
            "max_side_px": settings.max_image_side_px,
            "min_side_px": settings.min_image_side_px,
            "floor_percent": settings.storage_floor_percent,
            "classifier_model": _shown(settings.classifier_model),
            "detector_model": _shown(settings.detector_model),
            "labels_file": _shown(settings.labels_file),
            "image_properties": settings.image_properties,
        },
        settings.recognize_timeout_s,
        on_restart,
    )


def _shown(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
