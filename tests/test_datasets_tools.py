"""Files of labeling tools, written here as the tools write them."""

import contextlib
import json

import numpy as np
import pytest
from annotated import coco_folder, write, write_image

from rtmpose.cli import main
from rtmpose.datasets import read
from rtmpose.datasets.formats import detect_format
from rtmpose.datasets.image_index import ImageIndex, plain_path
from rtmpose.errors import InputError
from rtmpose.skeletons import get_skeleton

# ---- labelme


def shape(label, *points, kind="point", group=None, **flags):
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": flags}


def labelme(path, *shapes, image="a.png", size=(64, 48)):
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }
    return write(path, content)


def test_labelme_groups(tmp_path):
    write_image(tmp_path / "photos" / "a.png")
    labelme(
        tmp_path / "json" / "a.json",
        shape("mouse", [30, 40], [10, 20], kind="rectangle", group=1),
        shape("snout", [12.5, 21], group=1),
        shape("left_ear", [15, 25], group=1, occluded=True),
        shape("snout", [50, 30], group=2),
        shape("right_ear", [52, 34], group=2),
        image="..\\photos\\a.png",
    )
    labelme(tmp_path / "json" / "b.json", image="b.png")
    assert detect_format(tmp_path / "json").format == "labelme"
    dataset = read(tmp_path / "json", images=tmp_path)
    assert dataset.keypoint_names == ("snout", "left_ear", "right_ear")
    assert dataset.skeleton.flip_indices == (0, 2, 1)
    (first, second) = dataset.keypoints(1)
    np.testing.assert_allclose(first, [[12.5, 21, 2], [15, 25, 1], [0, 0, 0]])
    np.testing.assert_allclose(second, [[50, 30, 2], [0, 0, 0], [52, 34, 2]])
    np.testing.assert_allclose(dataset.boxes(1), [[10, 20, 30, 40], [48, 28, 54, 36]])
    assert dataset.images[1] == tmp_path / "photos" / "a.png"
    assert [c["name"] for c in dataset.content["categories"]] == ["mouse", "object"]


def test_labelme_points_belong_to_the_box_around_them(tmp_path):
    write_image(tmp_path / "a.png")
    labelme(
        tmp_path / "a.json",
        shape("dog", [0, 0], [30, 40], kind="rectangle"),
        shape("dog", [20, 0], [60, 40], kind="rectangle"),
        shape("nose", [10, 10]),
        shape("nose", [25, 10]),
        shape("tail", [22, 30]),
        shape("tail", [50, 30]),
    )
    points = read(tmp_path / "a.json").keypoints(1)
    np.testing.assert_allclose(points[:, 0, 0], [10, 25])
    np.testing.assert_allclose(points[:, 1, 0], [22, 50])


def test_labelme_without_boxes_is_one_object_or_refused(tmp_path):
    write_image(tmp_path / "a.png")
    path = labelme(tmp_path / "a.json", shape("nose", [10, 10]), shape("tail", [30, 30]))
    assert len(read(path).labeled(1)) == 1
    labelme(tmp_path / "a.json", shape("nose", [10, 10]), shape("nose", [30, 30]))
    with pytest.raises(InputError, match=r"a\.json has two points 'nose'"):
        read(path)
    labelme(tmp_path / "a.json", {"label": "nose"})
    with pytest.raises(InputError, match="without label or points"):
        read(path)


def test_labelme_names_in_any_order_are_those_of_a_known_set(tmp_path):
    names = list(get_skeleton("coco17").keypoints)[::-1]
    write_image(tmp_path / "a.png")
    shapes = [shape(n.replace("_", " ").title(), [i + 1, 2 * i]) for i, n in enumerate(names)]
    dataset = read(labelme(tmp_path / "a.json", *shapes))
    assert dataset.skeleton is get_skeleton("coco17")
    np.testing.assert_allclose(dataset.keypoints(1)[0, :, 0], np.arange(17)[::-1] + 1)


def test_labelme_points_with_numbers(tmp_path, caplog):
    write_image(tmp_path / "a.png")
    shapes = [shape(str(i), [i, i]) for i in (3, 1, 2)]
    dataset = read(labelme(tmp_path / "a.json", *shapes))
    assert dataset.skeleton.name == "points-3"
    np.testing.assert_allclose(dataset.keypoints(1)[0, :, 0], [1, 2, 3])
    assert "--skeleton" in caplog.text


def test_own_skeleton_orders_the_points(tmp_path):
    write_image(tmp_path / "a.png")
    path = labelme(tmp_path / "a.json", shape("nose", [10, 10]), shape("Tail", [30, 30]))
    toml = write(tmp_path / "t.toml", 'name = "t"\nkeypoints = ["tail", "ear", "nose"]\n')
    dataset = read(path, skeleton=toml)
    np.testing.assert_allclose(dataset.keypoints(1)[0, :, 0], [30, 0, 10])
    other = write(tmp_path / "o.toml", 'name = "o"\nkeypoints = ["nose"]\n')
    with pytest.raises(InputError, match="not in o: Tail"):
        read(path, skeleton=other)


# ---- Label Studio


def region(region_id, kind, value, **more):
    return {
        "id": region_id,
        "type": kind,
        "value": value,
        "original_width": 64,
        "original_height": 48,
        "image_rotation": 0,
        **more,
    }


def keypoint(region_id, label, x, y, **more):
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}
    return region(region_id, "keypointlabels", value, **more)


def rectangle(region_id, label, x, y, w, h, rotation=0):
    value = {"x": x, "y": y, "width": w, "height": h, "rotation": rotation}
    return region(region_id, "rectanglelabels", {**value, "rectanglelabels": [label]})


def task(*results, image="/data/upload/1/0a1b2c3d-a.png", **more):
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results), **more}]}


def test_label_studio_parents(tmp_path):
    write_image(tmp_path / "images" / "a.png")
    results = [
        keypoint("k1", "nose", 25, 50, parentID="b2"),
        keypoint("k2", "nose", 50, 25, parentID="b1"),
        rectangle("b1", "person", 10, 20, 50, 60),
        rectangle("b2", "person", 0, 0, 100, 100),
        keypoint("k3", "left_eye", 55, 30),
        {"type": "relation", "from_id": "b2", "to_id": "k4", "direction": "right"},
        keypoint("k4", "left_eye", 30, 30),
        region("k4", "choices", {"choices": ["Occluded"]}),
    ]
    path = write(tmp_path / "export.json", [task(*results)])
    assert detect_format(path).format == "label-studio"
    dataset = read(path)
    assert dataset.images[1] == tmp_path / "images" / "a.png"
    np.testing.assert_allclose(
        dataset.boxes(1), [[6.4, 9.6, 38.4, 38.4], [0, 0, 64, 48]], atol=1e-3
    )
    np.testing.assert_allclose(
        dataset.keypoints(1),
        [[[32, 12, 2], [35.2, 14.4, 2]], [[16, 24, 2], [19.2, 14.4, 1]]],
        atol=1e-3,
    )


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=photos%2Fa%20b.png",
        "http://host:8080/data/upload/3/a%20b.png",
        "s3://bucket/photos/a b.png",
        "C:\\photos\\a b.png",
        "/data/upload/1/12345678-a b.png",
    ],
)
def test_label_studio_finds_images(tmp_path, image, caplog):
    write_image(tmp_path / "photos" / "a b.png")
    path = write(tmp_path / "x.json", [task(keypoint("k", "nose", 50, 50), image=image)])
    assert read(path).images[1] == tmp_path / "photos" / "a b.png"
    assert "not in" not in caplog.text


def test_label_studio_takes_ground_truth_and_skips_cancelled(tmp_path):
    write_image(tmp_path / "a.png")
    entry = task(keypoint("k", "nose", 10, 10), was_cancelled=True)
    entry["annotations"] += [
        {"result": [keypoint("k", "nose", 20, 10)]},
        {"result": [keypoint("k", "nose", 50, 10)], "ground_truth": True},
    ]
    path = write(tmp_path / "x.json", [entry])
    assert read(path).keypoints(1)[0, 0, 0] == 32


def test_label_studio_turned_box_and_min_export(tmp_path):
    write_image(tmp_path / "a.png")
    box = rectangle("b", "dog", 50, 0, 50, 100, rotation=90)
    path = write(tmp_path / "x.json", [task(box, keypoint("k", "nose", 20, 10))])
    np.testing.assert_allclose(read(path).boxes(1), [[-16, 0, 32, 32]], atol=1e-3)
    entry = {"x": 50, "y": 50, "keypointlabels": ["nose"]}
    sizes = {"original_width": 64, "original_height": 48}
    small = [{"image": "a.png", "id": 1, "kp": [{**entry, **sizes}]}]
    assert read(write(tmp_path / "min.json", small)).keypoints(1)[0, 0, 0] == 32


def test_label_studio_needs_the_size(tmp_path):
    entry = task(keypoint("k", "nose", 10, 10), image="gone.png")
    for result in entry["annotations"][0]["result"]:
        del result["original_width"]
    with pytest.raises(InputError, match="percent, and the size of gone"):
        read(write(tmp_path / "x.json", [entry]))


# ---- CVAT

SVG = (
    "&lt;line data-type=&quot;edge&quot; data-node-from=&quot;1&quot; data-node-to=&quot;2&quot;"
    "&gt;&lt;circle data-node-id=&quot;1&quot; data-label-name=&quot;nose&quot;&gt;&lt;circle"
    " data-node-id=&quot;2&quot; data-label-name=&quot;left_eye&quot;&gt;"
)


def cvat(path, *shapes, head=""):
    labels = (
        f"<label><name>dog</name><svg>{SVG}</svg></label>"
        "<label><name>nose</name><parent>dog</parent></label>"
        "<label><name>left_eye</name><parent>dog</parent></label>"
        "<label><name>right_eye</name><parent>dog</parent></label>"
    )
    image = f'<image id="0" name="clip/a.png" width="64" height="48">{"".join(shapes)}</image>'
    return write(
        path,
        f'<?xml version="1.0" encoding="utf-8"?>{head}<annotations><version>1.1</version><meta>'
        f"<task><labels>{labels}</labels></task></meta>{image}</annotations>",
    )


def cvat_points(label, places, outside=0, occluded=0, **more):
    extra = "".join(f' {k}="{v}"' for k, v in more.items())
    return (
        f'<points label="{label}" outside="{outside}" occluded="{occluded}" points="{places}"'
        f"{extra}/>"
    )


SKELETON = (
    '<skeleton label="dog">'
    + cvat_points("right_eye", "30,12", outside=1)
    + cvat_points("nose", "20.5,15")
    + cvat_points("left_eye", "24,11", occluded=1)
    + "</skeleton>"
)
BOX = '<box label="dog" xtl="10" ytl="5" xbr="40" ybr="30"/>'


def test_cvat_skeletons(tmp_path):
    write_image(tmp_path / "images" / "clip" / "a.png")
    far = '<box label="dog" xtl="0" ytl="0" xbr="60" ybr="45"/>'
    path = cvat(tmp_path / "annotations.xml", far, BOX, SKELETON)
    assert detect_format(tmp_path).format == detect_format(path).format == "cvat"
    dataset = read(tmp_path)
    assert dataset.images[1].is_file()
    assert dataset.keypoint_names == ("nose", "left_eye", "right_eye")
    assert dataset.skeleton.links == ((0, 1),)
    np.testing.assert_allclose(dataset.keypoints(1), [[[20.5, 15, 2], [24, 11, 1], [0, 0, 0]]])
    np.testing.assert_allclose(dataset.boxes(1), [[10, 5, 40, 30]])
    assert len(dataset.annotations[1]) == 2


def test_cvat_points_by_group_and_by_number(tmp_path):
    write_image(tmp_path / "clip" / "a.png")
    path = cvat(
        tmp_path / "annotations.xml",
        BOX.replace("/>", ' group_id="3"/>'),
        cvat_points("nose", "12,8", group_id=3),
        cvat_points("left_eye", "14,6", group_id=3),
    )
    dataset = read(path)
    assert len(dataset.annotations[1]) == 1
    np.testing.assert_allclose(dataset.boxes(1), [[10, 5, 40, 30]])
    path = cvat(tmp_path / "annotations.xml", cvat_points("leaf", "1,2;3,4;5,6"))
    dataset = read(path)
    assert dataset.skeleton.name == "points-3"
    np.testing.assert_allclose(dataset.keypoints(1)[0, :, 0], [1, 3, 5])
    assert dataset.content["categories"][0]["name"] == "leaf"


def test_cvat_refuses_document_types_and_other_exports(tmp_path):
    path = tmp_path / "annotations.xml"
    cvat(path, SKELETON, head="<!DOCTYPE annotations>")
    with pytest.raises(InputError, match="document type"):
        read(path)
    with pytest.raises(InputError, match="CVAT for images"):
        read(write(path, "<annotations><track/></annotations>"))
    with pytest.raises(InputError, match="Pascal VOC"):
        read(write(path, "<annotation><object/></annotation>"))
    with pytest.raises(InputError, match="not valid XML"):
        read(write(path, "<annotations><image"))
    with pytest.raises(InputError, match="nested too deeply"):
        read(write(path, "<a>" * 40))
    with pytest.raises(InputError, match=r"not of CVAT: .*'name'"):
        read(write(path, "<annotations><image/></annotations>"))


# ---- SLEAP


def test_sleap_without_sleap_io(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sleap_io", None)
    path = tmp_path / "a.slp"
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r"rtmpose\[sleap\]"):
        read(path)


def test_sleap(tmp_path):
    sleap_io = pytest.importorskip("sleap_io", reason="SLEAP files need sleap-io")
    images = [write_image(tmp_path / "clip" / f"{i}.png", seed=i) for i in range(2)]
    skeleton = sleap_io.Skeleton(["snout", "a", "b"], [("snout", "a")], [("a", "b")], name="mouse")
    video = sleap_io.Video.from_filename([str(i) for i in images])
    points = np.array([[10, 11], [20, 21.5], [np.nan, np.nan]])
    instance = sleap_io.Instance.from_numpy(points, skeleton=skeleton)
    frame = sleap_io.LabeledFrame(video=video, frame_idx=1, instances=[instance])
    sleap_io.save_slp(sleap_io.Labels([frame]), str(tmp_path / "a.slp"))
    dataset = read(tmp_path / "a.slp")
    assert dataset.images[1] == images[1]
    assert dataset.skeleton.links == ((0, 1),)
    assert dataset.skeleton.flip_indices == (0, 2, 1)
    np.testing.assert_allclose(dataset.keypoints(1), [[[10, 11, 2], [20, 21.5, 2], [0, 0, 0]]])


# ---- files that are damaged


@pytest.mark.parametrize("value", [None, "", [], {}, -1, "x" * 300, "a\0b", "http://[", 1e308])
def test_odd_values_are_errors_in_words(tmp_path, value):
    write_image(tmp_path / "a.png")
    good_shapes = [shape("m", [9, 9], [3, 4], kind="rectangle", group=1), shape("nose", [1, 2])]
    for key in ("label", "points", "group_id", "shape_type", "flags"):
        shapes = [good_shapes[0], {**good_shapes[1], key: value}]
        _read_or_refuse(labelme(tmp_path / "a.json", *shapes), "labelme")
        shapes = [{**good_shapes[0], key: value}, good_shapes[1]]
        _read_or_refuse(labelme(tmp_path / "a.json", *shapes), "labelme")
    _read_or_refuse(labelme(tmp_path / "a.json", *good_shapes, image=value), "labelme")
    for key in ("id", "type", "value", "original_width", "parentID"):
        entry = task(rectangle("b", "m", 0, 0, 9, 9), {**keypoint("k", "n", 5, 5), key: value})
        _read_or_refuse(write(tmp_path / "b.json", [entry]), "label-studio")
    entry = task(keypoint("k", "n", 5, 5), image=value)
    _read_or_refuse(write(tmp_path / "b.json", [entry]), "label-studio")


def _read_or_refuse(path, format):
    with contextlib.suppress(InputError):
        assert read(path, format).path == path


# ---- tools whose own files are not read


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        ({"_via_settings": {}, "_via_img_metadata": {}}, "VIA"),
        ({"a.png123": {"filename": "a.png", "size": 1, "regions": []}}, "VIA"),
        ({"info": {}, "categories": {"points": {}}, "items": []}, "Datumaro"),
        ({"description": "", "tags": [], "size": {"height": 1}, "objects": []}, "Supervisely"),
    ],
)
def test_other_tools_are_named_with_their_way_to_coco(tmp_path, content, tool, capsys):
    path = write(tmp_path / "a.json", content)
    assert main(["data", "convert", str(path), "-o", str(tmp_path / "o.json")]) == 1
    error = capsys.readouterr().err
    assert tool in error
    assert "COCO" in error or "coco_person_keypoints" in error
    assert "a.json" in error


def test_archives_and_projects(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack it"):
        read(tmp_path / "a.zip")
    write(tmp_path / "p" / "meta.json", {"classes": []})
    write(tmp_path / "p" / "ds" / "ann" / "a.png.json", {"objects": []})
    with pytest.raises(InputError, match="Supervisely"):
        read(tmp_path / "p")


# ---- images


def test_images_by_the_end_of_their_path_and_without_suffix(tmp_path):
    for name in ("c/img0.png", "d/img0.png", "e/one.jpg"):
        write_image(tmp_path / name)
    index = ImageIndex(tmp_path)
    assert index.find("/home/me/labeled-data/c/img0.png") == "c/img0.png"
    assert index.find("d\\img0.jpg") == "d/img0.png"
    assert index.find("one.png") == "e/one.jpg"
    assert index.find("img0.png") == "img0.png"  # of c or of d
    assert index.missing == ["img0.png"]
    assert plain_path("https://x.y/a/b%20c.png?token=1") == "x.y/a/b c.png"


def test_missing_images_are_counted(tmp_path, caplog):
    for i in range(7):
        labelme(tmp_path / f"{i}.json", shape("nose", [1, 2]), image=f"{i}.jpg")
    read(tmp_path)
    assert "7 images are not in" in caplog.text
    assert "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more" in caplog.text


def test_converted_files_are_read_again(tmp_path):
    write_image(tmp_path / "a.png")
    labelme(tmp_path / "a.json", shape("nose", [10, 10]), shape("left_eye", [30, 30]))
    out = tmp_path / "out" / "train.json"
    assert main(["data", "convert", str(tmp_path / "a.json"), "-o", str(out)]) == 0
    first, again = read(tmp_path / "a.json"), read(out)
    np.testing.assert_array_equal(again.keypoints(1), first.keypoints(1))
    assert again.images[1].samefile(tmp_path / "a.png")
    assert json.loads(out.read_text())["images"][0]["file_name"] == "../a.png"


def test_coco_in_a_folder_is_still_coco(tmp_path):
    coco_folder(tmp_path)
    assert detect_format(tmp_path).format == "coco"
