"""The pages of the keypoint sets are those that the script makes from the sets."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import skeleton_pages
    finally:
        sys.path.pop(0)
    return skeleton_pages


def test_pages_are_up_to_date(pages):
    made = pages.all_files()
    outdated = [
        str(path.relative_to(ROOT))
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not outdated, "run `python scripts/skeleton_pages.py`"
    for folder, ending in (("docs/skeletons", "*.md"), ("docs/images/skeletons", "*.svg")):
        assert {p for p in made if p.match(ending)} >= set((ROOT / folder).glob(ending)), folder


def test_every_set_has_a_layout(pages):
    for name in pages.skeleton_names():
        panels, designed = pages.lay_out(pages.get_skeleton(name))
        assert designed, f"add {name} to scripts/skeleton_layouts.toml"
        indices = sorted(i for panel in panels for i in panel.indices)
        assert indices == list(range(len(pages.get_skeleton(name))))
        for panel in panels:
            x_left, y_top, width, height = panel.box
            places = np.array(pages.fit(panel))
            assert (places >= (x_left, y_top)).all()
            assert (places <= (x_left + width, y_top + height)).all()


def test_left_lies_at_the_viewers_right(pages):
    """The subject faces the viewer, and flip partners are mirrored."""
    for name in ("coco17", "halpe26", "mpii16", "300w68", "wflw98", "lapa106", "cofw29", "aflw19"):
        skeleton = pages.get_skeleton(name)
        (panel,), _ = pages.lay_out(skeleton)
        flipped = panel.points[list(skeleton.flip_indices)] * (-1, 1)
        np.testing.assert_allclose(panel.points, flipped, atol=1.5, err_msg=name)
        left = [i for i, side in enumerate(skeleton.sides) if side == "left"]
        assert (panel.points[left, 0] > 0).all(), name


def test_left_lies_at_the_viewers_right_in_faces_of_bodies(pages):
    for name in ("coco-wholebody133", "halpe136"):
        skeleton = pages.get_skeleton(name)
        panels, _ = pages.lay_out(skeleton)
        (face,) = [panel for panel in panels if panel.title == "face"]
        x_of = dict(zip(face.indices, face.points[:, 0], strict=True))
        left = [i for i in face.indices if skeleton.sides[i] == "left"]
        assert len(left) == 29
        assert all(x_of[i] > x_of[skeleton.flip_indices[i]] for i in left), name


def test_unknown_sets_are_laid_out_by_their_links(pages, tmp_path):
    from rtmpose.skeletons import load_skeleton

    text = 'name = "chain5"\nkeypoints = ["a", "b", "c", "d", "e"]\n'
    (tmp_path / "chain.toml").write_text(text + 'links = [["a", "b", "c", "d", "e"]]\n')
    skeleton = load_skeleton(tmp_path / "chain.toml")
    (panel,), designed = pages.lay_out(skeleton)
    assert not designed
    distances = np.linalg.norm(panel.points[:, None] - panel.points[None], axis=2)
    assert distances[0, 4] > distances[0, 1]
    assert (distances[np.triu_indices(5, 1)] > 0.3).all()
    assert "laid out by the links alone" in pages.page_text(skeleton, designed)
    assert pages.draw(skeleton, [panel]).count("<circle") == 5
