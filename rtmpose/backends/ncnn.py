"""ncnn: phones and small ARM boards. Weights and arithmetic in half precision where the CPU has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtmpose.backends.base import BackendOptions, TensorSpec
from rtmpose.errors import BackendError, MissingDependencyError, ModelError
from rtmpose.model_card import ModelCard


class NcnnBackend:
    """A network run by ncnn, one image after the other. See :class:`rtmpose.backends.base.Backend`.

    Args:
        path: The ``.param`` file; the ``.bin`` file of the same name lies beside it.
        card: Its description.
        options: ``device`` must be ``cpu``. ``precision`` ``fp32`` switches half-precision
            arithmetic off.

    Raises:
        MissingDependencyError: ncnn is not installed.
        BackendError: another device was asked for, or a run fails.
        ModelError: a file is missing or damaged.
    """

    engine = "ncnn"

    def __init__(self, path: Path, card: ModelCard, options: BackendOptions) -> None:
        try:
            import ncnn
        except ImportError as error:
            raise MissingDependencyError(
                "ncnn models need ncnn: pip install 'rtmpose[ncnn]'"
            ) from error
        if options.device != "cpu":
            raise BackendError(f"the ncnn backend runs on the CPU only, not on {options.device!r}")
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise ModelError(f"{path} needs {weights.name} beside it, which is not there")
        if card.input_wh == (0, 0):
            raise ModelError(
                f"{path} does not say its input size: {path.name}.card.json is missing beside it"
            )
        self._ncnn, self._net = ncnn, ncnn.Net()
        if options.threads:
            self._net.opt.num_threads = options.threads
        half = options.precision != "fp32"
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(self._net.opt, name, half)
        self._net.opt.use_bf16_storage = False
        if self._net.load_param(str(path)) or self._net.load_model(str(weights)):
            raise ModelError(
                f"{path} could not be opened by ncnn; it may be damaged or need a newer ncnn"
            )
        self.device, self.precision = "cpu", "fp16" if half else "fp32"
        self._card = card
        width, height = card.input_wh
        self._inputs, self._outputs = list(self._net.input_names()), list(self._net.output_names())
        if len(self._inputs) != 1:
            raise ModelError(
                f"{path} takes {len(self._inputs)} inputs; this package runs networks that take one"
                " image"
            )
        self.input = TensorSpec(self._inputs[0], (None, 3, height, width))
        self.metadata: Mapping[str, str] = {}
        self.flexible = False
        results = self(np.zeros((1, height, width, 3), np.uint8))
        self.outputs = tuple(
            TensorSpec(n, (None, *r.shape[1:])) for n, r in zip(self._outputs, results, strict=True)
        )

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
        """Run a BGR uint8 batch ``(N, H, W, 3)``."""
        rows = [self._one(np.ascontiguousarray(image)) for image in images]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def _one(self, image: NDArray[np.uint8]) -> list[NDArray[Any]]:
        kinds = self._ncnn.Mat.PixelType
        scaling = self._card.normalization
        kind = kinds.PIXEL_BGR2RGB if scaling.color == "rgb" else kinds.PIXEL_BGR
        pixels = self._ncnn.Mat.from_pixels(image, kind, image.shape[1], image.shape[0])
        pixels.substract_mean_normalize(list(scaling.mean), [1 / s for s in scaling.std])
        extractor = self._net.create_extractor()
        extractor.input(self._inputs[0], pixels)
        results = []
        for name in self._outputs:
            status, value = extractor.extract(name)
            if status:
                raise BackendError(f"ncnn failed at the output {name} (status {status})")
            results.append(np.array(value, np.float32))
        return results
