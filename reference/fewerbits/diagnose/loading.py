"""Open an ONNX file, or say in one line why it cannot be diagnosed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor

# Protobuf, the format of ONNX files, ends there; larger models keep their weights beside the file.
MOST_BYTES = 2**31 - 1
# The first byte of a protobuf message names its first field: the fields of ONNX's ModelProto, as a writer may begin.
FIRST_BYTES = {number << 3 | kind for number, kind in ((1, 0), (2, 2), (3, 2), (4, 2), (5, 0), (6, 2), (7, 2), (8, 2))}
FIRST_BYTES |= {0x72, 0xA2, 0xCA}  # metadata_props, training_info, functions


class UnreadableModelError(ValueError):
    """The file or model cannot be diagnosed; the message is one line that says why."""


def load(source: str | Path | onnx.ModelProto) -> tuple[onnx.ModelProto, Path]:
    """The model, and the folder in which its external data lies. Weights beside the file are not read yet.

    Raises UnreadableModelError for a file that is missing, empty, too large, or not ONNX; TypeError for other types.
    """
    if isinstance(source, onnx.ModelProto):
        return source, Path()
    if not isinstance(source, (str, Path)):
        raise TypeError(f"source is {type(source).__name__}: accepted are a path and an onnx.ModelProto")
    path = Path(source)
    try:
        size = path.stat().st_size if path.is_file() else -1
        if size < 0:
            raise UnreadableModelError(
                f"{path}: {'a folder, not a file' if path.is_dir() else 'there is no such file'}"
            )
        if size == 0:
            raise UnreadableModelError(f"{path}: the file is empty")
        if size > MOST_BYTES:
            raise UnreadableModelError(
                f"{path}: {size / 2**30:.1f} GiB are more than an ONNX file can hold (2 GiB): "
                "a larger model is saved with external data"
            )
        with path.open("rb") as file:
            if file.read(1)[0] not in FIRST_BYTES:
                raise UnreadableModelError(f"{path}: this is not an ONNX file")
            file.seek(0)
            model = onnx.ModelProto.FromString(file.read())
    except DecodeError:
        raise UnreadableModelError(f"{path}: this is not an ONNX file, or it is damaged or cut short") from None
    except (OSError, ValueError, MemoryError) as error:
        if isinstance(error, UnreadableModelError):
            raise
        raise UnreadableModelError(f"{path}: it cannot be read: {_one_line(error)}") from None
    return model, path.resolve().parent


def array(tensor: TensorProto, folder: Path) -> NDArray[Any]:
    """The numbers of a tensor, from its file where they lie outside the model. Raises UnreadableModelError."""
    try:
        if tensor.data_location == TensorProto.EXTERNAL:
            # A copy, so that a model given in memory stays as it was.
            tensor = TensorProto.FromString(tensor.SerializeToString())
            load_external_data_for_tensor(tensor, str(folder))
        numbers: NDArray[Any] = numpy_helper.to_array(tensor)
        return numbers
    except Exception as error:
        where = "; ".join(f"{entry.key} {entry.value}" for entry in tensor.external_data if entry.key == "location")
        beside = f" (external data, {where})" if where else ""
        raise UnreadableModelError(f"tensor {tensor.name!r}{beside} cannot be read: {_one_line(error)}") from None


def invalid(model: onnx.ModelProto) -> str:
    """Why ONNX's own checker refuses a model, in one line; "" for a valid one."""
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        return _one_line(error)
    return ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
