"""The labels that the embedded recognizer can emit, as the user wants them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from lumitag.recognition.labels_file import LabelsFile
from lumitag.recognition.overlay import lay_over
from lumitag.recognition.taxonomy import Taxonomy


def delivered_taxonomy() -> Taxonomy:
    """Return the taxonomy of the package."""
    return Taxonomy.from_json((resources.files("lumitag.recognition") / "taxonomy.json").read_bytes())


def with_labels_file(taxonomy: Taxonomy, labels_file: Path | None) -> Taxonomy:
    """Return the taxonomy as the labels file wants it, if there is one. Raises InvalidLabelsFile."""
    return lay_over(taxonomy, LabelsFile.read(labels_file)) if labels_file else taxonomy
