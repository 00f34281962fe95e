"""One ONNX graph, ready to run on one core."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lumitag.recognition.decode import Picture
from lumitag.recognition.preprocessing import Preprocessing

_QUIET: Final = 4  # Fatal only: what is wrong with a model is an error with words of its own, not a line of a log.


@dataclass(frozen=True)
class Network:
    """A session, what a picture has to become for it, and which of its outputs are wanted.

    Safe to share between threads; the answer never depends on how many.
    """

    session: onnxruntime.InferenceSession
    preprocessing: Preprocessing
    input_name: str = "image"
    output_names: tuple[str, ...] | None = None  # None: all, in the order of the graph

    def run(self, picture: Picture, *, mirrored: bool = False) -> list[NDArray[Any]]:
        """Return the outputs for one picture, or for what it looks like in a mirror."""
        tensor = self.preprocessing.tensor(picture)
        if mirrored:
            tensor = np.ascontiguousarray(np.flip(tensor, self.preprocessing.width_axis))
        return list(self.session.run(self.output_names, {self.input_name: tensor}))


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Return a session that uses the calling thread and no other: processes share a machine better than threads.

    Whatever else the graph refers to is looked for below a file, and so never found.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _QUIET
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
