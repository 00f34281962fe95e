"""A recognizer process whose model files are not the released ones. It runs in place of the real process."""

import sys

from lumitag.adapters.local import _recognizer_process
from lumitag.errors import WeightsChanged
from lumitag.recognition import embedded


def refuse(**_: object) -> embedded.EmbeddedRecognizer:
    """Do as `load` does when a model file was changed."""
    raise WeightsChanged


if __name__ == "__main__":
    embedded.EmbeddedRecognizer.load = refuse  # type: ignore[method-assign, assignment]
    _recognizer_process.main(sys.argv[1:])
