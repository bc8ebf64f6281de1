"""What an 8-bit export is calibrated on: the package's photos show people only."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[export]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'rtmpose[export]'")

from rtmpose import zoo
from rtmpose.errors import InputError
from rtmpose.exporting.quantize import calibration_images, is_about_people

ANIMAL = next(c for c in zoo.load_zoo() if c.task == "animal" and c.is_pose)


def test_models_of_other_things_ask_for_images():
    with pytest.raises(InputError, match=r"for animal.*--calibrate FOLDER"):
        calibration_images(ANIMAL, None)
    pets = replace(zoo.find("rtmdet-nano"), classes=("cat", "dog"))
    with pytest.raises(InputError, match="--calibrate FOLDER"):
        calibration_images(pets, None)
    assert is_about_people(replace(pets, classes=("cat", "person")))
    assert is_about_people(zoo.find("rtmpose-s"))


def test_their_images_are_taken_whole(tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((40, 60, 3), 40 * i, np.uint8))
    images = calibration_images(ANIMAL, tmp_path)
    assert images.shape == (3, *ANIMAL.input_wh[::-1], 3)
    assert images[2].max() == 80
