"""Memory of images that is used again: never while somebody still has an image."""

import sys

import numpy as np
import pytest

from rtmpose import image_memory
from rtmpose.image_memory import MOST_IMAGES, ImageMemory

counted = pytest.mark.skipif(
    not image_memory._counts_references(), reason="this interpreter does not count references"
)


@counted
def test_memory_is_used_again_when_nobody_has_it():
    memory = ImageMemory()
    first = memory.array((4, 6, 3))
    place = first.ctypes.data
    assert first.shape == (4, 6, 3)
    assert first.dtype == np.uint8
    del first
    assert memory.array((4, 6, 3)).ctypes.data == place


@counted
@pytest.mark.parametrize(
    "keep", [lambda a: a, lambda a: a[1:3, ::-1], lambda a: memoryview(a), lambda a: [a.T]]
)
def test_an_image_or_a_part_that_is_kept_stays_as_it_is(keep):
    memory = ImageMemory()
    kept = keep(memory.array((4, 6, 3)))
    np.asarray(kept)[...] = 7
    for _ in range(3):
        memory.array((4, 6, 3))[...] = 9
    assert (np.asarray(kept) == 7).all()


@counted
def test_no_more_than_a_few_are_held():
    """Who keeps all frames of a video has them alone."""
    memory = ImageMemory()
    kept = []
    for value in range(3 * MOST_IMAGES):
        image = memory.array((2, 2, 3))
        image[...] = value
        kept.append(image)
    assert [int(image[0, 0, 0]) for image in kept] == list(range(3 * MOST_IMAGES))
    assert len(memory._images) == MOST_IMAGES


@counted
def test_another_size_takes_the_place():
    memory = ImageMemory()
    memory.array((4, 6, 3))
    assert memory.array((2, 2, 3)).shape == (2, 2, 3)
    assert len(memory._images) == 1


def test_interpreters_that_do_not_count_get_new_arrays(monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    memory = ImageMemory()
    assert memory.array((4, 6, 3)).shape == (4, 6, 3)
    assert not memory._images
