"""From an ONNX file or a torch network to the files of other engines."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rtmpose.card_io import KEY, card_to_json
from rtmpose.errors import MissingDependencyError, ModelError
from rtmpose.model_card import ModelCard
from rtmpose.networks.fuse import fuse_norms


def write_openvino(onnx_file: Path, card: ModelCard, out: Path, *, half: bool = False) -> None:
    """Write OpenVINO IR (``.xml`` and ``.bin``).

    Args:
        onnx_file: The network.
        card: Embedded.
        out: The ``.xml`` file.
        half: Store the weights as float16; arithmetic stays the device's choice.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ModelError: it cannot convert the file.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError(
            "this needs OpenVINO: pip install 'rtmpose[openvino]'"
        ) from error
    try:
        network = openvino.Core().read_model(onnx_file)
    except RuntimeError as error:
        raise ModelError(
            f"OpenVINO could not read {onnx_file.name}: {str(error).strip().splitlines()[-1]}"
        ) from error
    save_ir(network, card, out, half=half)


def save_ir(network: Any, card: ModelCard, out: Path, *, half: bool = False) -> None:
    """Save an ``openvino.Model`` with its card."""
    import openvino

    network.set_rt_info(card_to_json(card), ["framework", KEY])
    openvino.save_model(network, out, compress_to_fp16=half)


class _Pairs(nn.Module):
    """Outputs of a network as a flat tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Any:
        outputs = self.network(images)
        if isinstance(outputs, tuple) and isinstance(outputs[0], list):
            return tuple(outputs[0]) + tuple(outputs[1])
        return outputs


def write_ncnn(network: nn.Module, card: ModelCard, out: Path, *, half: bool = True) -> None:
    """Write ncnn's ``.param`` and ``.bin`` through pnnx, with ``.param.card.json`` beside them.

    Args:
        network: From :func:`rtmpose.networks.load_network`.
        card: Its description.
        out: Name of the ``.param`` file.
        half: Store the weights as float16.

    Raises:
        MissingDependencyError: pnnx is not installed.
        ModelError: pnnx failed.
    """
    try:
        import pnnx
    except ImportError as error:
        raise MissingDependencyError("this needs pnnx: pip install 'rtmpose[export]'") from error
    width, height = card.input_wh
    with tempfile.TemporaryDirectory() as folder:
        script, base = Path(folder) / "network.pt", Path(folder) / "network"
        example = torch.zeros(1, 3, height, width)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # tracing notes on shapes that are fixed here on purpose
            torch.jit.save(torch.jit.trace(_Pairs(fuse_norms(network)), example), str(script))
        with _silent():
            pnnx.convert(
                str(script), input_shapes=[[1, 3, height, width]], input_types=["f32"], fp16=half
            )
        made = base.with_suffix(".ncnn.param")
        if not made.is_file():
            raise ModelError(f"pnnx could not convert {card.id} to ncnn")
        shutil.copyfile(made, out)
        shutil.copyfile(base.with_suffix(".ncnn.bin"), out.with_suffix(".bin"))
    out.with_name(f"{out.name}.card.json").write_text(card_to_json(card) + "\n", encoding="utf-8")


def write_coreml(network: nn.Module, card: ModelCard, out: Path, *, half: bool = True) -> None:
    """Write a Core ML package. It can only be run, and so checked, on a Mac.

    Raises:
        MissingDependencyError: coremltools is not installed.
        ModelError: coremltools failed.
    """
    try:
        with _silent():
            import coremltools
    except ImportError as error:
        raise MissingDependencyError(
            "this needs coremltools: pip install 'rtmpose[coreml]'"
        ) from error
    width, height = card.input_wh
    example = torch.zeros(1, 3, height, width)
    precision = coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32
    try:
        with torch.inference_mode(), warnings.catch_warnings(), _silent():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(_Pairs(fuse_norms(network)), example)
            package = coremltools.convert(
                traced,
                inputs=[coremltools.TensorType("input", shape=example.shape)],
                convert_to="mlprogram",
                compute_precision=precision,
                minimum_deployment_target=coremltools.target.iOS16,
            )
            package.user_defined_metadata[KEY] = card_to_json(card)
            package.save(str(out))
    except Exception as error:
        raise ModelError(
            f"coremltools could not convert {card.id}: {str(error).strip().splitlines()[-1]}"
        ) from error


def build_tensorrt(onnx_file: Path, card: ModelCard, *, half: bool = True) -> bool:
    """Let ONNX Runtime's TensorRT provider build its engine for this GPU now, into the cache,
    rather than at first use.

    Returns:
        False where there is no TensorRT provider or GPU here: the ONNX file is all there is,
            unverified.
    """
    from rtmpose.backends import BackendOptions, open_backend
    from rtmpose.errors import BackendError

    options = BackendOptions("onnxruntime", "tensorrt", precision="fp16" if half else "fp32")
    try:
        open_backend(onnx_file, card, options)
    except (BackendError, ModelError):
        return False
    return True


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Send what converters print, also from C++, to nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [(fd, os.dup(fd)) for fd in (1, 2)]
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        for fd, _ in saved:
            os.dup2(nowhere.fileno(), fd)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)
