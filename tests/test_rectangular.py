"""Detectors that compute the frame's rectangle instead of its padding."""

import threading

import numpy as np
import pytest
from networks import fixed_detector, grid_detector

from rtmpose import BackendOptions, Detector, InputError, ModelError
from rtmpose.backends import input_size
from rtmpose.model_card import Codec, ModelCard, Normalization

CARD = ModelCard(
    "grid",
    "person detection",
    "yolox-tiny",
    (96, 96),
    Normalization((0, 0, 0), (1, 1, 1), "bgr"),
    Codec("yolox"),
    input_fit="rectangular",
)


def frame(height, width):
    """A frame with a bright square, a third of its long side, as far from the left and the top."""
    image = np.full((height, width, 3), 5, np.uint8)
    third = max(height, width) // 3
    image[third : 2 * third, third : 2 * third] = 250
    return image


def test_cells_of_a_smaller_grid():
    rows = input_size.cells((64, 96), (32, 64))
    # 4 of 8 rows with 8 of 12 cells, 2 of 4 with 4 of 6, 1 of 2 with 2 of 3.
    assert len(rows) == 4 * 8 + 2 * 4 + 2
    assert rows[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 12]
    assert rows[-2:].tolist() == [96 + 24, 96 + 24 + 1]
    assert (input_size.cells((64, 96)) == np.arange(96 + 24 + 6)).all()


@pytest.mark.parametrize(
    ("height", "width"), [(96, 96), (54, 96), (96, 54), (64, 96), (540, 960), (30, 96)]
)
def test_the_smaller_grid_finds_the_same(tmp_path, height, width):
    pytest.importorskip("openvino")
    path = grid_detector(tmp_path / "grid.onnx")
    options = BackendOptions("openvino", "cpu", 1, precision="fp32")
    plain = Detector(path, options=options, card=CARD, fit="letterbox")
    tight = Detector(path, options=options, card=CARD)
    assert (plain.rectangular, tight.rectangular) == (False, True)
    image = frame(height, width)
    a, b = plain(image, box_thr=0.6), tight(image, box_thr=0.6)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-3)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    assert (len(b) > 0) == (height >= 54)
    canvas, _ = tight.letterbox(image)
    assert canvas.shape[1] * canvas.shape[2] <= 96 * 96
    assert all(side % 32 == 0 for side in canvas.shape[1:3])


def test_shapes_in_turn_and_the_same_answer_again(tmp_path):
    pytest.importorskip("openvino")
    detector = Detector(
        grid_detector(tmp_path / "grid.onnx"),
        options=BackendOptions("openvino", "cpu", 1, precision="fp32"),
        card=CARD,
    )
    images = [frame(54, 96), frame(96, 54), frame(96, 96)]
    first = [detector(i).boxes for i in images]
    again = [detector(i).boxes for i in images]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_file_of_fixed_size_without_a_grid_keeps_its_padding(tmp_path):
    path = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    for engine in ("onnxruntime", "openvino"):
        pytest.importorskip(engine)
        options = BackendOptions(engine, "cpu", 1, precision="fp32")
        assert not Detector(path, options=options, fit="rectangular").rectangular


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_files_with_open_sizes(tmp_path, engine):
    pytest.importorskip(engine)
    options = BackendOptions(engine, "cpu", 1, precision="fp32")
    path = grid_detector(tmp_path / "open.onnx", size="open")
    tight = Detector(path, options=options, card=CARD)
    plain = Detector(path, options=options, card=CARD, fit="letterbox")
    assert tight.rectangular
    image = np.full((54, 96, 3), 200, np.uint8)
    # 64x96 cells of brightness; of the square input a third is padding, whose cells are the darker
    # 114.
    assert len(tight(image, box_thr=0.4)) == len(input_size.cells((64, 96)))
    assert len(plain(image, box_thr=0.4)) == len(input_size.cells((96, 96)))


def test_refusals(tmp_path):
    path = fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]])
    with pytest.raises(InputError, match="fit must be auto, letterbox or rectangular"):
        Detector(path, options=BackendOptions("onnxruntime", "cpu", 1), fit="tight")
    openvino = pytest.importorskip("rtmpose.backends.openvino_network")
    pytest.importorskip("openvino")
    network = openvino.read_network(grid_detector(tmp_path / "grid.onnx"))
    for size in ((96, 128), (40, 96), (0, 96)):
        with pytest.raises(ModelError, match="cannot be cut"):
            input_size.shrink(network, (96, 96), size)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_threads_share_a_detector(tmp_path, engine):
    pytest.importorskip(engine)
    detector = Detector(
        fixed_detector(tmp_path / "yolox_t.onnx", [[8, 4, 40, 44, 0.9]]),
        options=BackendOptions(engine, "cpu", 1),
    )
    counts = []

    def work():
        counts.extend(len(detector(frame(60, 80))) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [1] * 80
