"""The pixels that networks see inside the one graph: those of the Python package."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rtmpose[export]'")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import onnxruntime
from onnx import helper

from rtmpose.backends.sample_images import bundled_photos
from rtmpose.exporting.crop_map import crop_maps, crop_people, uncrop
from rtmpose.exporting.graph import Graph
from rtmpose.exporting.pipeline_detector import letterbox, letterbox_size
from rtmpose.exporting.resample import Frame
from rtmpose.model_card import Codec, ModelCard, Normalization
from rtmpose.ops import crop as crop_ops
from rtmpose.ops import letterbox as letterbox_ops

# Pixels as they are: nothing is taken off, nothing is divided.
PLAIN = Normalization(mean=(0, 0, 0), std=(1, 1, 1), color="bgr")


def some_boxes(rng, shape, count):
    """Boxes of 10 to 500 px, some over the edge."""
    height, width = shape[:2]
    center = rng.uniform((-20, -20), (width + 20, height + 20), (count, 2))
    half = np.exp(rng.uniform(np.log(5), np.log(250), (count, 2)))
    return np.concatenate([center - half, center + half], axis=1).astype(np.float32)


def run(graph, outputs, **inputs):
    """Values of a graph; ``outputs`` are name to (value, type, shape)."""
    graph.set_outputs(outputs)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph.graph, opset_imports=[opset], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(list(outputs), inputs)


def crops_of_graph(image, boxes, card):
    """Crops (N, h, w, 3), and where their corners and middles lie in the image (N, 3, 2)."""
    width, height = card.input_wh
    g = Graph()
    g.add_input("image", "uint8", ["height", "width", 3])
    g.add_input("boxes", "float", ["n", 4])
    g.add_input("bins", "int64", ["n", 3])
    maps = crop_maps(g, "boxes", card.input_wh)
    crops = crop_people(g, Frame.of_input(g, "image"), maps, card)
    places = uncrop(g, ("bins", "bins"), maps, card)
    outputs = {
        "crops": (crops, "float", ["n", 3, height, width]),
        "places": (places, "float", ["n", 3, 2]),
    }
    bins = np.broadcast_to(np.array([-1, 0, 2 * width - 1]), (len(boxes), 3))
    crops, places = run(g, outputs, image=image, boxes=boxes, bins=bins)
    return crops.transpose(0, 2, 3, 1), places


@pytest.mark.parametrize("input_wh", [(192, 256), (256, 256), (72, 96)])
def test_crops_are_those_of_the_package(input_wh):
    card = ModelCard("x", "body", "rtmpose-s", input_wh, PLAIN, Codec("simcc"))
    rng = np.random.default_rng(0)
    different = []
    for image in bundled_photos()[:2]:
        boxes = some_boxes(rng, image.shape, 12)
        crops, places = crops_of_graph(image, boxes, card)
        expected, matrices = crop_ops.crop_people(image, boxes, input_wh)
        difference = np.abs(crops - expected)
        assert difference.max() <= 1
        different.append(difference > 0)

        # And back: bins at the ends, and the one of a keypoint that is missing.
        bins = np.array([-1, 0, 2 * input_wh[0] - 1]) / 2
        points = np.broadcast_to(bins[None, :, None], (len(boxes), 3, 2))
        np.testing.assert_allclose(places, crop_ops.uncrop(points, matrices), rtol=1e-6, atol=1e-5)
    assert np.mean(different) < 1e-3


@pytest.mark.parametrize("size", [(720, 1280), (333, 101), (64, 997), (71, 233), (1, 1)])
@pytest.mark.parametrize("kind", ["rtmdet", "yolox"])
def test_the_letterbox_is_that_of_the_package(size, kind):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    card = ModelCard("x", "detection", f"{kind}-nano", (320, 320), PLAIN, Codec(kind))
    image = cv2.resize(bundled_photos()[0], size[::-1])
    g = Graph()
    g.add_input("image", "uint8", ["height", "width", 3])
    frame = Frame.of_input(g, "image")
    sizes, factors = letterbox_size(g, frame, card)
    canvas = letterbox(g, frame, sizes, card)
    outputs = {
        "canvas": (canvas, "float", [1, 320, 3 * 320]),
        "factors": (g.op("Concat", *factors, axis=0), "float", [2]),
    }
    canvas, factors = run(g, outputs, image=image)
    expected, expected_factors = letterbox_ops.letterbox(
        image, (320, 320), truncate=kind == "yolox"
    )
    np.testing.assert_array_equal(canvas.reshape(320, 320, 3), expected)
    np.testing.assert_allclose(factors, expected_factors, rtol=1e-7)
