"""What networks get from the C library: the same numbers as from the package, for every size and
format of an image. No network is run."""

from __future__ import annotations

import ctypes as c
import os
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="reads cards with the onnx package")

import rtmpose  # noqa: E402

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "build" / "sdk" / "install" / "lib" / "librtmpose.so"
MODELS = ROOT / "rtmpose" / "assets" / "models"
ORT = rtmpose.BackendOptions("onnxruntime", "cpu", 1, False, "fp32")
FLOAT32 = 0


class Tensor(c.Structure):
    """rtmpose_tensor."""

    _fields_ = [
        ("name", c.c_char_p),
        ("element", c.c_int32),
        ("rank", c.c_int32),
        ("shape", c.POINTER(c.c_int64)),
        ("data", c.c_void_p),
    ]


class Input(c.Structure):
    """rtmpose_bare_input."""

    _fields_ = [
        ("count", c.c_int32),
        ("height", c.c_int32),
        ("width", c.c_int32),
        ("pixels", c.POINTER(c.c_float)),
    ]


def tensor(name, shape, data=None):
    """Declared, or with zeros."""
    sides = (c.c_int64 * len(shape))(*shape)
    zeros = None if data is None else data.ctypes.data
    return Tensor(name.encode(), FLOAT32, len(shape), sides, zeros)


class BareModel:
    """A bundled model without its network."""

    def __init__(self, library, path, input_shape, outputs):
        self.library = library
        texts = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
        declared = (Tensor * 2)(*(tensor(name, (-1, *shape[1:])) for name, shape in outputs))
        taken = tensor("input", input_shape)
        self.handle = library._made(
            "rtmpose_bare_model_create",
            str(path).encode(),
            texts["rtmpose.card"].encode(),
            None,
            c.byref(taken),
            declared,
            2,
        )
        zeros = [np.zeros(shape, np.float32) for _, shape in outputs]
        returned = (Tensor * 2)(
            *(tensor(name, shape, data) for (name, shape), data in zip(outputs, zeros, strict=True))
        )
        library._check(library.c.rtmpose_bare_model_check(self.handle, returned, 2))

    def _pixels(self, found):
        r = c.cast(found, c.POINTER(Input)).contents
        pixels = np.ctypeslib.as_array(r.pixels, (r.count, 3, r.height, r.width)).copy()
        self.library.c.rtmpose_bare_input_release(found)
        return pixels

    def image_input(self, image, pixels):
        """Numbers ``(1, 3, H, W)`` for a whole image."""
        view = self.library._image(image, pixels)
        found = self.library._made("rtmpose_bare_input_of_image", self.handle, c.byref(view))
        return self._pixels(found)

    def box_input(self, image, boxes, pixels):
        """Numbers ``(N, 3, H, W)`` for people in boxes."""
        view = self.library._image(image, pixels)
        found = self.library._made(
            "rtmpose_bare_input_of_boxes",
            self.handle,
            c.byref(view),
            c.c_void_p(boxes.ctypes.data),
            None,
            len(boxes),
        )
        return self._pixels(found)


@pytest.fixture(scope="module")
def library():
    """The opened C library."""
    path = Path(os.environ.get("RTMPOSE_SDK_LIBRARY", LIBRARY))
    if not path.is_file():
        pytest.skip("the SDK is not built: make sdk")
    sys.path.insert(0, str(ROOT / "sdk" / "conformance"))
    try:
        from library import Library
    finally:
        sys.path.pop(0)
    return Library(path)


def noise(width, height, channels=3):
    """Bytes of any value."""
    shape = (height, width, channels)
    return np.random.default_rng(width + 100 * height).integers(0, 256, shape, np.uint8)


def in_format(image, pixels):
    """A BGR image in another order of the channels."""
    opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
    orders = {
        "bgr": image,
        "rgb": image[..., ::-1],
        "bgra": np.concatenate([image, opaque], axis=2),
        "rgba": np.concatenate([image[..., ::-1], opaque], axis=2),
        "gray": image[..., :1],
    }
    return np.ascontiguousarray(orders[pixels])


def normalized(images, card):
    """As the package normalizes crops ``(N, H, W, 3)`` of BGR: floats ``(N, 3, H, W)``."""
    if card.normalization.color == "rgb":
        images = images[..., ::-1]
    mean, std = (np.array(x, np.float64) for x in (card.normalization.mean, card.normalization.std))
    return ((images - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)


@pytest.fixture(scope="module")
def detector(library):
    """Bundled detector: in the package and bare in C."""
    path = MODELS / "rtmdet-nano_finetuned_320x320.onnx"
    outputs = (("boxes", (1, 2100, 4)), ("scores", (1, 2100, 1)))
    return rtmpose.Detector(path, options=ORT), BareModel(library, path, (-1, 3, -1, -1), outputs)


@pytest.fixture(scope="module")
def pose(library):
    """Bundled pose model: in the package and bare in C."""
    path = MODELS / "rtmpose-s_finetuned-halpe26_256x192.onnx"
    outputs = (("simcc_x", (1, 26, 384)), ("simcc_y", (1, 26, 512)))
    return rtmpose.PoseEstimator(path, options=ORT), BareModel(
        library, path, (-1, 3, 256, 192), outputs
    )


SIZES = [(w, h) for w in (1, 2, 3, 5, 17, 40) for h in (1, 2, 3, 7, 30)]


@pytest.mark.parametrize("size", [*SIZES, (319, 320), (641, 479), (1280, 720)], ids=str)
def test_detector_gets_the_pixels_that_opencv_resizes_to(detector, size):
    """Also the edge rows of images that are enlarged, to the last bit."""
    package, bare = detector
    image = noise(*size)
    canvas, _ = package.letterbox(image)
    np.testing.assert_array_equal(bare.image_input(image, "bgr"), normalized(canvas, package.card))


@pytest.mark.parametrize("pixels", ["rgb", "bgra", "rgba", "gray"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 47), (642, 361)], ids=str)
def test_detector_gets_the_same_pixels_from_every_format(detector, size, pixels):
    """Pixels of one and four bytes, too."""
    package, bare = detector
    image = noise(*size)
    if pixels == "gray":
        image = np.repeat(image[..., :1], 3, axis=2)
    canvas, _ = package.letterbox(image)
    found = bare.image_input(in_format(image, pixels), pixels)
    np.testing.assert_array_equal(found, normalized(canvas, package.card))


@pytest.mark.parametrize("pixels", ["bgr", "rgb", "bgra", "rgba", "gray"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 47), (642, 361)], ids=str)
def test_pose_model_gets_the_same_crops_from_every_format(pose, size, pixels):
    """Boxes inside, over every edge, around the image and far from it. Next to a tie between two
    gray levels OpenCV's fused arithmetic may round to the other one.
    """
    package, bare = pose
    width, height = size
    image = noise(width, height)
    if pixels == "gray":
        image = np.repeat(image[..., :1], 3, axis=2)
    shares = [(0.2, 0.1, 0.8, 0.9), (-0.5, 0.2, 0.4, 1.4), (0.6, -0.3, 1.3, 0.5), (-2, -2, 3, 3)]
    shares += [(0, 0, 1, 1), (0.4, 0.4, 0.45, 0.5), (5, 5, 6, 7)]
    boxes = (np.array(shares) * [width, height, width, height]).astype(np.float32)
    people = rtmpose.Detections(boxes, np.ones(len(boxes)), np.zeros(len(boxes), np.int64))
    crops, _ = package.crop([image], [people])
    found = bare.box_input(in_format(image, pixels), boxes, pixels)
    apart = np.abs(found - normalized(crops, package.card))
    assert apart.max() <= 1.01 / min(package.card.normalization.std)
    assert np.count_nonzero(apart) <= 5
