"""Fine-tuning on keypoints of one's own: what comes from the data, what from the weights, and what
is new.
"""

import json
import logging
from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

from rtmpose import zoo  # noqa: E402
from rtmpose.cli import main  # noqa: E402
from rtmpose.errors import InputError, ModelError  # noqa: E402
from rtmpose.networks import build, config_for, load_network, save_safetensors  # noqa: E402
from rtmpose.skeletons import get_skeleton  # noqa: E402
from rtmpose.training import find_recipe, override  # noqa: E402
from rtmpose.training.data.images import validation_mask  # noqa: E402
from rtmpose.training.own_keypoints import UNIFORM_SIGMA, fit_to_data  # noqa: E402
from rtmpose.training.setup import make_task  # noqa: E402
from rtmpose.training.start import start_network  # noqa: E402

NAMES = ("tip", "wing_left", "wing_right", "tail")
COLORS = ((60, 60, 255), (60, 255, 60), (255, 60, 60), (60, 255, 255))


def write_set(folder, names=NAMES, n=16, category="kite", links=((1, 2), (1, 3), (1, 4)), **fields):
    """Images with four dots of different colors, each at the same place but for a few pixels."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    centers = np.array([(40, 22), (24, 44), (56, 44), (40, 60)])
    for i in range(1, n + 1):
        image = rng.integers(0, 60, (80, 80, 3), np.uint8)
        points = centers + rng.uniform(-6, 6, (4, 2))
        for (x, y), color in zip(points, COLORS, strict=True):
            cv2.circle(image, (round(x), round(y)), 4, color, -1)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), image)
        images.append({"id": i, "file_name": f"{i}.png", "width": 80, "height": 80})
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [10, 10, 60, 60],
                "area": 1900,
                "num_keypoints": 4,
                "keypoints": [float(v) for x, y in points for v in (x, y, 2)],
            }
            | fields
        )
    named = {"keypoints": list(names)} if names else {}
    categories = [{"id": 1, "name": category, "skeleton": list(links), **named}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = folder / "keypoints.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def base(tmp_path):
    """A small network of the family, with random weights, as a file with its card."""
    card = zoo.find("rtmpose-t_body8_256x192")
    card = replace(card, id="base", input_wh=(64, 64), files=(), aliases=(), published={})
    torch.manual_seed(0)
    path = tmp_path / "base.safetensors"
    save_safetensors(path, build(config_for(card)), card)
    return path


def start(recipe, data, **options):
    fitted = fit_to_data(find_recipe(recipe), [data], **options)
    settings = {"init": options.get("init"), "skeleton": fitted.skeleton}
    return fitted, make_task(fitted.recipe, fitted.data, **settings)


@pytest.mark.parametrize("recipe", ["finetune", "plain"])
def test_the_last_layer_is_new_and_the_rest_is_loaded(tmp_path, base, recipe, caplog):
    caplog.set_level(logging.INFO)
    fitted, task = start(recipe, write_set(tmp_path / "set"), init=str(base))

    # Names, links and pairs of the data; a uniform constant, as it has none.
    points = task.card.own_skeleton
    assert points.keypoints == NAMES
    assert points.links == ((0, 1), (0, 2), (0, 3))
    assert points.flip_indices == (0, 2, 1, 3)
    assert points.sigmas == (UNIFORM_SIGMA,) * 4
    assert "no sigmas" in caplog.text

    # The architecture is that of the weights, and all of it but the last layer is theirs.
    assert task.card.architecture == "rtmpose-t"
    before = load_network(base)[0].state_dict()
    after = task.network.state_dict()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert changed == ["head.final_layer.weight", "head.final_layer.bias"] or changed == [
        "head.final_layer.weight"
    ]
    assert len(after["head.final_layer.weight"]) == 4
    assert "new: the last layer" in caplog.text

    # No teacher; people to evaluate on; batches that the data fills.
    assert fitted.recipe.distill is None
    assert task.validation
    assert task.steps() >= 3
    assert fitted.recipe.augment.flip == 0.5


def test_settings_of_the_user_come_last(tmp_path, base):
    path = write_set(tmp_path / "set")
    settings = {"epochs": "7", "batch_size": "3", "augment.flip": "0.25"}
    recipe = fit_to_data(find_recipe("finetune"), [path], init=str(base), settings=settings).recipe
    assert (recipe.schedule.epochs, recipe.schedule.batch_size) == (7, 3)
    assert recipe.augment.flip == 0.25


def test_points_without_sides_are_not_mirrored(tmp_path, base, caplog):
    caplog.set_level(logging.INFO)
    path = write_set(tmp_path / "set", names=("a", "b", "c", "d"))
    fitted, _ = start("finetune", path, init=str(base))
    assert fitted.recipe.augment.flip == 0
    assert "not mirrored" in caplog.text


def test_unnamed_points_have_a_generic_set(tmp_path, base):
    _, task = start("finetune", write_set(tmp_path / "set", names=()), init=str(base))
    assert task.card.own_skeleton.keypoints == tuple(f"keypoint_{i}" for i in range(4))


def test_a_file_overrides_the_names(tmp_path, base):
    toml = tmp_path / "mine.toml"
    toml.write_text('name = "mine"\nkeypoints = ["n", "w", "e", "s"]\nflip = [["w", "e"]]\n')
    path = write_set(tmp_path / "set")
    _, task = start("finetune", path, init=str(base), skeleton=str(toml))
    assert task.card.own_skeleton.keypoints == ("n", "w", "e", "s")
    assert all(sample.points[:, 2].all() for sample in task.training)


def test_points_of_the_model_stay_the_models(tmp_path, base):
    names = ("nose", "left_wrist", "right_wrist", "left_ankle")
    path = write_set(tmp_path / "set", names=names)
    fitted, task = start("plain", path, init=str(base))
    assert fitted.skeleton is None
    assert task.card.skeleton == "coco17"

    # Unless the data's own are asked for.
    _, task = start("plain", path, init=str(base), skeleton="data")
    assert task.card.own_skeleton.keypoints == names


def test_a_category_may_have_the_name_of_a_published_set(tmp_path, base):
    _, task = start("finetune", write_set(tmp_path / "set", category="coco17"), init=str(base))
    assert task.card.own_skeleton.keypoints == NAMES
    assert task.card.own_skeleton.name != "coco17"


def test_a_model_with_own_keypoints_goes_on_without_a_teacher(tmp_path, base):
    path = write_set(tmp_path / "set")
    _, first = start("finetune", path, init=str(base))
    again = tmp_path / "again.safetensors"
    save_safetensors(again, first.network, first.card)
    fitted, task = start("finetune", path, init=str(again))
    assert fitted.recipe.distill is None
    assert task.card.own_skeleton == first.card.own_skeleton
    before, after = first.network.state_dict(), task.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_another_architecture_is_refused(tmp_path, base, capsys):
    path = write_set(tmp_path / "set")
    out = tmp_path / "run"
    command = ["train", "plain", "--data", str(path), "--init", str(base), "-o", str(out)]
    assert main([*command, "--set", "model=rtmpose-m"]) == 1
    assert "of another architecture" in capsys.readouterr().err
    assert not out.exists()


def test_a_detector_is_no_start(tmp_path):
    card = replace(zoo.find("rtmdet-nano"), files=(), aliases=())
    path = tmp_path / "detector.safetensors"
    save_safetensors(path, build(config_for(card)), card)
    with pytest.raises(InputError, match="is a detector"):
        start_network(find_recipe("finetune"), str(path), None)
    with pytest.raises(ModelError, match="does not exist"):
        start_network(find_recipe("finetune"), "nowhere.pth", None)


def test_pruned_networks_take_new_keypoints(tmp_path):
    recipe = override(find_recipe("finetune"))
    path = write_set(tmp_path / "set")
    fitted = fit_to_data(recipe, [path], init="rtmpose-s-pruned")
    network, card, points = start_network(fitted.recipe, "rtmpose-s-pruned", fitted.skeleton)
    assert card.architecture.endswith("-pruned")
    width, height = card.input_wh
    with torch.inference_mode():
        x, y = network.eval()(torch.zeros(1, 3, height, width))
    assert x.shape[1] == y.shape[1] == len(points) == 4


def test_small_sets_keep_an_image_to_evaluate_on():
    keys = [f"image{i}" for i in range(12)]
    assert 1 <= validation_mask(keys, 0.0001).sum() <= 1
    assert validation_mask(keys, 0.9999).sum() <= 11
    assert not validation_mask(keys, 0).any()
    assert not validation_mask(["one"], 0.0001).any()


@pytest.mark.slow
def test_from_one_command_to_an_export(tmp_path, base, capsys):
    """Learned by heart through the command line, exported, and used."""
    path = write_set(tmp_path / "set")
    run = tmp_path / "run"
    settings = ["epochs=80", "lr=1e-3", "head_lr_factor=1", "eval_every=20"]
    plain = ["scale=1,1", "rotate=0", "augment.shift=0", "flip=0", "dropout=0", "blur=0"]
    command = ["train", "finetune", "--data", str(path), "--init", str(base), "-o", str(run)]
    command += ["--val", str(path)]
    for setting in (*settings, *(f"augment.{p.removeprefix('augment.')}" for p in plain)):
        command += ["--set", setting]
    assert main([*command, "--set", "late_augment=none"]) == 0
    told = capsys.readouterr().out
    assert "best.safetensors" in told
    assert "rtmpose export" in told

    # The commands that were printed.
    model = str(run / "best.safetensors")
    assert main(["export", model, "--to", "onnx", "-o", str(tmp_path / "exports")]) == 0
    exported = next((tmp_path / "exports").glob("*.onnx"))
    image = str(tmp_path / "set" / "images" / "3.png")
    out = tmp_path / "out"
    options = ["--detector", "none", "-o", str(out), "--json", str(out / "p.json")]
    assert main(["predict", image, "--pose", str(exported), *options]) == 0
    written = (out / "p.json").read_text()
    assert "wing_left" in written or "keypoints" in written

    # The dots are found where they are.
    assert main(["eval", "pose", str(path), "--pose", str(exported), "--metric", "pck"]) == 0
    rows = (run / "evaluations.csv").read_text().splitlines()
    best = max(float(row.split(",")[2]) for row in rows[1:])
    assert best > 0.9


def test_small_things_need_a_detector(tmp_path, base, capsys):
    """Whole images are no boxes where the annotated ones are small."""
    from rtmpose.cli.training import next_steps
    from rtmpose.training.own_keypoints import share_of_image

    fitted, task = start("finetune", write_set(tmp_path / "set"), init=str(base))
    assert share_of_image(fitted.data) == 0.75
    assert "--detector none" in next_steps(base, task.card, 0.75)[0]
    small = "\n".join(next_steps(base, task.card, 0.25))
    assert "--detector FILE" in small
    assert "25 % of an image's side" in small
    assert "--init rtmdet-nano-finetuned" in small


def test_metrics_without_anything_to_measure_are_a_dash():
    from rtmpose.cli.training import percent

    assert percent(0.4813) == "48.13"
    assert percent(-1) == "-"  # no small objects in the data


# ---- how data is read


def write_yolo(folder):
    """The labels of :func:`write_set` as a YOLO set: 16 images to train on, 6 in val."""
    for split, count in (("train", 16), ("val", 6)):
        content = json.loads(write_set(folder / split, n=count).read_text())
        labels = folder / split / "labels"
        labels.mkdir()
        for row in content["annotations"]:
            points = np.array(row["keypoints"]).reshape(4, 3) / (80, 80, 1)
            numbers = " ".join(f"{v:.6f}" for v in points.ravel())
            (labels / f"{row['id']}.txt").write_text(f"0 0.5 0.5 0.75 0.75 {numbers}\n")
    path = folder / "data.yaml"
    path.write_text(
        "train: train/images\nval: val/images\nkpt_shape: [4, 3]\nnames: [kite]\n"
        f"kpt_names: [[{', '.join(NAMES)}]]\n"
    )
    return path


def test_validation_data_with_splits_is_read_as_its_val_split(tmp_path, base):
    path = write_yolo(tmp_path / "set")
    fitted = fit_to_data(find_recipe("finetune"), [path], init=str(base))
    task = make_task(
        fitted.recipe,
        fitted.data,
        init=str(base),
        skeleton=fitted.skeleton,
        evaluate_on=[str(path)],
    )
    assert len(task.training) == 16
    assert len(task.validation) == 6
    assert {s.path.parent.parent.name for s in task.validation} == {"val"}


def test_images_that_are_trained_and_evaluated_on_are_counted(tmp_path, base, caplog):
    path = write_set(tmp_path / "set")
    fitted = fit_to_data(find_recipe("finetune"), [path], init=str(base))
    common = {"init": str(base), "skeleton": fitted.skeleton}
    make_task(fitted.recipe, fitted.data, **common, evaluate_on=[str(path)])
    assert "16 of 16 images of --val are in --data too" in caplog.text
    caplog.clear()
    other = write_set(tmp_path / "other")
    make_task(fitted.recipe, fitted.data, **common, evaluate_on=[str(other)])
    assert "--val" not in caplog.text


def test_one_category_of_two_keypoint_sets(tmp_path, base):
    path = write_set(tmp_path / "set")
    content = json.loads(path.read_text())
    content["categories"].append({"id": 2, "name": "bird", "keypoints": ["beak", "tail"]})
    content["annotations"][0] |= {"category_id": 2, "keypoints": [1, 1, 2, 3, 3, 2]}
    path.write_text(json.dumps(content))
    command = ["train", "finetune", "--data", str(path), "--init", str(base)]
    short = ["--set", "epochs=1", "--set", "batch_size=4", "--set", "val_fraction=0"]
    out = tmp_path / "run"
    assert main([*command, *short, "-o", str(out)]) == 1
    assert main([*command, *short, "-o", str(out), "--category", "kite"]) == 0
    assert load_network(out / "last.safetensors")[1].own_skeleton.keypoints == NAMES


@pytest.mark.parametrize(("told", "mirrored"), [([0, 1, 2, 3], 0.5), (None, 0.0)])
def test_points_that_are_their_own_mirror_images_are_mirrored_where_the_data_says_so(
    tmp_path, base, told, mirrored
):
    path = write_set(tmp_path / "set", names=("a", "b", "c", "d"))
    content = json.loads(path.read_text())
    if told:
        content["categories"][0]["flip_idx"] = told
    path.write_text(json.dumps(content))
    fitted = fit_to_data(find_recipe("finetune"), [path], init=str(base))
    assert fitted.recipe.augment.flip == mirrored


def test_sigmas_of_the_data_count(tmp_path, base):
    """For points of one's own, and for those of a published set."""
    path = write_set(tmp_path / "set")
    content = json.loads(path.read_text())
    content["categories"][0]["sigmas"] = [0.01, 0.02, 0.02, 0.04]
    path.write_text(json.dumps(content))
    _, task = start("finetune", path, init=str(base))
    assert task.sigmas == [(0.01, 0.02, 0.02, 0.04)]
    assert task.card.own_skeleton.sigmas == (0.01, 0.02, 0.02, 0.04)

    # Some of the model's own points: the others keep their constants.
    known = write_set(tmp_path / "known", names=("nose", "left_eye", "right_eye", "left_hip"))
    content = json.loads(known.read_text())
    content["categories"][0] |= {"sigmas": [0.01, 0.02, 0.02, 0.04], "name": "person"}
    known.write_text(json.dumps(content))
    _, task = start("finetune", known, init=str(base), settings={"distill": "none"})
    coco = get_skeleton("coco17")
    assert task.skeleton.keypoints == coco.keypoints
    assert task.sigmas[0][:3] == (0.01, 0.02, 0.02)
    assert task.sigmas[0][11] == 0.04
    assert task.sigmas[0][12] == coco.sigmas[12]


def test_metrics_that_cannot_be_written_do_not_end_a_training(tmp_path, caplog):
    from rtmpose.training.logger import EVALUATIONS, STEPS, MetricLogger

    class FullDisk:
        def add_scalar(self, *_):
            raise OSError("no space left")

        def close(self):
            raise OSError("no space left")

    logger = MetricLogger(tmp_path, 0)
    logger._board = FullDisk()
    logger.add(STEPS, 1, {"loss": 2.0})
    assert "TensorBoard's curves end here: no space left" in caplog.text
    logger.add(STEPS, 2, {"loss": 1.0})
    assert (tmp_path / STEPS).read_text() == "step,loss\n1,2\n2,1\n"

    # The table itself cannot be written: it is a folder here.
    (tmp_path / EVALUATIONS).mkdir()
    logger.add(EVALUATIONS, 2, {"AP": 0.5})
    assert "step 2 is missing" in caplog.text
    logger.close()
