"""A vocabulary small enough to compute everything by hand."""

from __future__ import annotations

import pytest

from lumitag.evaluation.vocabulary import Vocabulary
from tests.evaluation.small import TAXONOMY


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return Vocabulary(TAXONOMY)
