import pytest

from lumitag.recognition.embedded import EmbeddedRecognizer
from lumitag.recognition.taxonomy import Taxonomy


@pytest.fixture(scope="session")
def recognizer() -> EmbeddedRecognizer:
    return EmbeddedRecognizer.load()


@pytest.fixture(scope="session")
def taxonomy(recognizer: EmbeddedRecognizer) -> Taxonomy:
    return recognizer.taxonomy
