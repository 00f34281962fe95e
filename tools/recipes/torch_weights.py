"""Reads PyTorch's legacy (pre-zip) weight files without PyTorch, and without trusting the pickle inside.

The layout is five pickles (magic number, protocol version, system information, the state dictionary whose
tensors point into storages, the list of storage keys), then every storage in that order: an int64 element
count and the raw little-endian numbers (torch/serialization.py, `_legacy_save`).
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION: Final = 1001
_STORAGE_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}


@dataclass(frozen=True)
class _Storage:
    """A run of numbers that lies behind the pickles."""

    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


_ALLOWED: Final[dict[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): dtype for name, dtype in _STORAGE_TYPES.items()},
}


class _AllowListUnpickler(pickle.Unpickler):
    """Can build a dictionary of tensors and nothing else, whatever the file asks for."""

    def find_class(self, module_name: str, global_name: str) -> Any:  # noqa: ANN401  # as in pickle.Unpickler
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} has no business in a weight file") from None

    def persistent_load(self, pid: tuple[Any, ...]) -> _Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown persistent id {kind!r}")
        return _Storage(key, dtype)


def read_torch_weights(content: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the parameters by name. Raises UnpicklingError for anything that is not a plain weight file."""
    stream = io.BytesIO(content)
    if _load(stream) != _MAGIC_NUMBER or _load(stream) != _PROTOCOL_VERSION:
        raise pickle.UnpicklingError("not a legacy PyTorch file")
    _load(stream)  # system information: byte order and sizes, always little-endian in practice
    tensors: dict[str, _Tensor] = _load(stream)
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(stream, dtypes[key]) for key in _load(stream)}
    return {name: _view(storages[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _load(stream: io.BytesIO) -> Any:  # noqa: ANN401  # what a pickle holds is known only afterwards
    return _AllowListUnpickler(stream).load()


def _read_storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(stream.read(8), "little")
    return np.frombuffer(stream.read(count * dtype.itemsize), dtype)


def _view(storage: NDArray[Any], tensor: _Tensor) -> NDArray[np.float32]:
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).astype(np.float32)
