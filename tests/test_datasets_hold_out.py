"""Parts of a set that share no clip, folder or subject."""

import json

import pytest
from annotated import coco_content, coco_folder, write, write_image

from rtmpose.cli import main
from rtmpose.datasets import load_mixture, merge, open_mixture, read
from rtmpose.datasets.hold_out import GROUP_FIELD, groups_of, hold_out, marked
from rtmpose.errors import InputError


def clips(tmp_path, **frames):
    """A set with so many frames in the folder of each clip."""
    names = [f"{clip}/s{clip[-1]}_img{i}.png" for clip, n in frames.items() for i in range(n)]
    content = coco_content(len(names))
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
        write_image(tmp_path / "images" / name, seed=image["id"])
    return write(tmp_path / "annotations.json", content)


def folders(part):
    return {path.parent.name for path in part.dataset.images.values()}


def test_groups_are_whole_and_the_share_is_met(tmp_path):
    dataset = read(clips(tmp_path, c1=10, c2=10, c3=10, c4=10, c5=10))
    train, held = hold_out(dataset, "0.2", "folder")
    assert len(held.dataset.images) == 10
    assert len(train.dataset.images) == 40
    assert not folders(train) & folders(held)
    assert held.groups == tuple(folders(held))
    again = hold_out(dataset, "0.2", "folder")
    assert list(again[1].dataset.images) == list(held.dataset.images)
    ids = {a["image_id"] for a in held.dataset.content["annotations"]}
    assert ids == set(held.dataset.images)


def test_the_choice_does_not_depend_on_the_place(tmp_path):
    a = read(clips(tmp_path / "a", c1=3, c2=3, c3=3))
    b = read(clips(tmp_path / "somewhere" / "else", c1=3, c2=3, c3=3))
    assert hold_out(a, "0.3", "folder")[1].groups == hold_out(b, "0.3", "folder")[1].groups


def test_one_large_clip_is_not_held_out_for_a_small_share(tmp_path):
    dataset = read(clips(tmp_path, c1=40, c2=2, c3=2))
    for share in ("0.05", "0.1"):
        held = hold_out(dataset, share, "folder")[1]
        assert "c1" not in held.groups
        assert held.groups


def test_groups_by_expression_and_by_name(tmp_path):
    dataset = read(clips(tmp_path, c1=3, d1=3, c2=3))
    assert set(groups_of(dataset, r"s(\d)_").values()) == {"1", "2"}
    assert set(groups_of(dataset, r"s\d").values()) == {"s1", "s2"}
    train, held = hold_out(dataset, "s2", r"s\d")
    assert (train.groups, held.groups) == (("s1",), ("s2",))
    assert hold_out(dataset, "c1,c2", "folder")[1].groups == ("c1", "c2")


def test_a_number_may_be_the_name_of_a_group(tmp_path):
    dataset = read(clips(tmp_path, c1=3, d1=3, c2=3))
    assert hold_out(dataset, "2", r"s(\d)_")[1].groups == ("2",)


def test_what_cannot_be_held_out(tmp_path):
    dataset = read(clips(tmp_path, c1=3, c2=3))
    for what, group_by, message in (
        ("c9", "folder", "no such group; there are c1, c2"),
        ("c1,c2", "folder", "leaves nothing"),
        ("1.5", "folder", "between 0 and 1"),
        ("0", "folder", "between 0 and 1"),
        ("0.5", "(", "regular expression"),
        ("0.5", "subject", "not found in"),
        ("0.5", "images", "all of one group"),
    ):
        with pytest.raises(InputError, match=message):
            hold_out(dataset, what, group_by)


def test_groups_stay_with_the_images(tmp_path):
    dataset = marked(read(clips(tmp_path, c1=1, c2=1)), "folder")
    assert [i[GROUP_FIELD] for i in dataset.content["images"]] == ["c1", "c2"]
    assert [i[GROUP_FIELD] for i in merge([dataset]).content["images"]] == ["c1", "c2"]


def test_trainings_keep_groups_together():
    pytest.importorskip("torch", reason="training needs torch")
    from rtmpose.training.data.images import image_key

    a = {"file_name": "000000000001.jpg", GROUP_FIELD: "c1"}
    assert image_key(a) == image_key({"file_name": "x.jpg", GROUP_FIELD: "c1"})
    assert image_key(a) != image_key({**a, GROUP_FIELD: "c2"})


def test_a_mixture_groups_its_parts(tmp_path):
    clips(tmp_path / "a", c1=2, c2=1)
    coco_folder(tmp_path / "b", 2, seed=9)
    text = 'target = "coco17"\n[[data]]\npath = "a"\ngroup_by = "folder"\n[[data]]\npath = "b"\n'
    mixture, folder = load_mixture(write(tmp_path / "m.toml", text))
    first, second = (d for d, _ in open_mixture(mixture, folder))
    assert [i[GROUP_FIELD] for i in first.content["images"]] == ["c1", "c1", "c2"]
    assert GROUP_FIELD not in second.content["images"][0]


# ---- the command line


def test_convert_writes_two_files(tmp_path, capsys):
    path = clips(tmp_path, c1=2, c2=2, c3=2)
    out = tmp_path / "train.json"
    command = ["data", "convert", str(path), "-o", str(out)]
    assert main([*command, "--hold-out", "0.34", "--group-by", "folder"]) == 0
    text = capsys.readouterr().out
    assert "4 images of 2 groups" in text
    assert "train-val.json: 2 images of 1 groups" in text
    held = read(tmp_path / "train-val.json")
    assert len({p.parent for p in held.images.values()}) == 1
    assert main([*command, "--hold-out", "c2", "--group-by", "folder", "--held-output",
                 str(tmp_path / "v.json")]) == 0  # fmt: skip
    assert {p.parent.name for p in read(tmp_path / "v.json").images.values()} == {"c2"}


def test_options_that_do_not_go_together(tmp_path, capsys):
    path = clips(tmp_path, c1=1, c2=1)
    command = ["data", "convert", str(path), "-o", str(tmp_path / "o.json")]
    other = ["--held-output", str(tmp_path / "o.json")]
    assert main([*command, *other]) == 1
    assert "goes with --hold-out" in capsys.readouterr().err
    assert main([*command, *other, "--hold-out", "0.5"]) == 1
    assert "the same file" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "o.png")]) == 1
    assert "should be a .json file" in capsys.readouterr().err


def test_convert_marks_groups_for_trainings(tmp_path):
    path = clips(tmp_path, c1=1, c2=1)
    out = tmp_path / "all.json"
    command = ["data", "convert", str(path), "-o", str(out), "--group-by", r"s(\d)_"]
    assert main(command) == 0
    images = json.loads(out.read_text())["images"]
    assert [i[GROUP_FIELD] for i in images] == ["1", "2"]


def test_annotations_that_somebody_made_are_not_replaced(tmp_path, capsys):
    path = coco_folder(tmp_path / "set")
    before = path.read_text()
    other = write(tmp_path / "mine.json", {"images": []})
    for data, out in ((path.parent, path), (path, path), (path, other)):
        assert main(["data", "convert", str(data), "-o", str(out)]) == 1
        error = capsys.readouterr().err
        assert "choose another name" in error
    assert path.read_text() == before
    assert other.read_text() == '{"images": []}'
    made = tmp_path / "made.json"
    for _ in range(2):  # our own may be written again
        assert main(["data", "convert", str(path), "-o", str(made)]) == 0
    assert main(["data", "convert", str(made), "-o", str(made)]) == 1


def test_missing_images_are_counted_and_listed(tmp_path, capsys, caplog):
    path = coco_folder(tmp_path / "set", 4)
    images = tmp_path / "set" / "images"
    (images / "1.png").unlink()
    (images / "2.png").rename(images / "2.webp")
    assert main(["data", "convert", str(path), "-o", str(tmp_path / "o.json")]) == 0
    error = capsys.readouterr().err
    assert "1 images have another name than is written, such as 2.webp for 2.png" in caplog.text
    assert "1 of 4 images are missing" in error
    assert "1.png" in error
    assert read(tmp_path / "o.json").images[2].suffix == ".webp"
