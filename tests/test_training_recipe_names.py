"""Fields of recipes by name: short names, names from before, mistakes, files."""

import json
import logging
from dataclasses import is_dataclass, replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

import trainable  # noqa: E402

from rtmpose.cli.training import parse_settings  # noqa: E402
from rtmpose.errors import InputError  # noqa: E402
from rtmpose.training import Recipe, find_recipe, override, train, with_settings  # noqa: E402
from rtmpose.training import checkpoint as states  # noqa: E402
from rtmpose.training.data.augment import Augmentation  # noqa: E402
from rtmpose.training.data.mosaic import MosaicConfig  # noqa: E402
from rtmpose.training.recipes import (  # noqa: E402
    Ema,
    all_recipes,
    changed_fields,
    recipe_from_dict,
    to_dict,
)
from rtmpose.training.recipes.old_names import OLD_NAMES  # noqa: E402
from rtmpose.training.setup import make_task  # noqa: E402
from rtmpose.training.sources import parse_teacher_backend  # noqa: E402

OLD_VALUES = {
    "epochs": 3, "batch": 8, "accumulate": 2, "warmup_steps": 7, "warmup_start": 0.1, "flat": 0.2,
    "final_lr": 0.3, "stage2_epochs": 3, "eval_every": 4, "save_minutes": 1.5, "lr": 1e-3,
    "base_batch": 16, "lr_scaling": "sqrt", "weight_decay": 0.01, "clip": 5.0, "head_lr": 2.0,
    "lr_by_size": True, "ema": 0.002, "ema_gamma": 100.0, "float32": ["head.gau"],
    "norms": "frozen", "sync_norms": False, "stage2.rotate": 12.0, "beta": 1.0,
    "half_points": [23, 91], "label_weight": 0.3, "loss_batch": 64, "machine_labels": False,
    "heldout": 0.1, "workers": 5, "distil.sure": True, "distil.logits": 2.0, "distill.sure": True,
    "distill.fade": True, "distill.point_score": 0.5, "detector.pictures.mosaic": 0.4,
    "detector.stage2.mixup": 0.2, "detector.fit": "rectangular", "detector.sides": [256, 384],
    "detector.reshape": 0.2, "detector.soft_scores": 1.0, "detector.soft_boxes": 2.0,
    "detector.labels": 0.5, "detector.pseudo": "yolox-tiny", "detector.sure": 0.6,
    "detector.doubt": 0.3, "detector.crops": 0.7, "detector.pictures.least_visible": 0.15,
    "detector.stage2.least_visible": 0.25,
}  # fmt: skip
"""A value other than the default for every name from before."""

NOW = {
    "epochs": "schedule.epochs", "batch": "schedule.batch_size",
    "accumulate": "schedule.accumulate", "warmup_steps": "schedule.warmup_steps",
    "warmup_start": "schedule.warmup_start_factor", "flat": "schedule.flat_fraction",
    "final_lr": "schedule.final_lr_factor", "stage2_epochs": "schedule.late_epochs",
    "eval_every": "schedule.eval_every", "save_minutes": "schedule.save_minutes",
    "lr": "optimizer.lr", "base_batch": "optimizer.base_batch_size",
    "lr_scaling": "optimizer.lr_scaling", "weight_decay": "optimizer.weight_decay",
    "clip": "optimizer.grad_clip_norm", "head_lr": "optimizer.head_lr_factor",
    "lr_by_size": "optimizer.layerwise_lr_by_rms", "ema": "ema.momentum", "ema_gamma": "ema.gamma",
    "float32": "float32_modules", "norms": "batch_norm.bn_mode",
    "sync_norms": "batch_norm.sync_bn", "stage2.rotate": "late_augment.rotate",
    "beta": "loss.beta", "half_points": "loss.half_weight_keypoints",
    "label_weight": "loss.label_weight", "loss_batch": "loss.reference_batch_size",
    "machine_labels": "loss.pseudo_labels", "heldout": "data.val_fraction",
    "workers": "data.workers", "distil.sure": "distill.weight_by_score",
    "distil.logits": "distill.logits", "distill.sure": "distill.weight_by_score",
    "distill.fade": "distill.decay_to_zero", "distill.point_score": "distill.min_point_score",
    "detector.pictures.mosaic": "detector.augment.mosaic",
    "detector.stage2.mixup": "detector.late_augment.mixup", "detector.fit": "detector.input_fit",
    "detector.sides": "detector.long_side_range", "detector.reshape": "detector.video_shape_prob",
    "detector.soft_scores": "detector.distill_scores",
    "detector.soft_boxes": "detector.distill_boxes", "detector.labels": "detector.label_weight",
    "detector.pseudo": "detector.pseudo_label_model",
    "detector.sure": "detector.pseudo_score_thr", "detector.doubt": "detector.ignore_score_thr",
    "detector.crops": "detector.partial_fraction",
    "detector.pictures.least_visible": "detector.augment.min_visible",
    "detector.stage2.least_visible": "detector.late_augment.min_visible",
}  # fmt: skip
"""Where the value of each name is found now."""


def value_at(recipe, path):
    for name in path.split("."):
        recipe = getattr(recipe, name)
    return recipe


def as_text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def test_every_name_from_before_has_a_case():
    """A group's old name is covered by a field in it."""
    assert set(OLD_VALUES) == set(NOW)
    for old in OLD_NAMES:
        old = old.replace("detector.augment.", "detector.pictures.")
        old = old.replace("detector.late_augment.", "detector.stage2.")
        assert any(name == old or name.startswith(f"{old}.") for name in NOW), old


@pytest.mark.parametrize("name", NOW)
def test_names_from_before_are_still_set(name):
    value = OLD_VALUES[name]
    changed = with_settings(Recipe("r"), {name: as_text(value)})
    expected = tuple(value) if isinstance(value, list) else value
    assert value_at(changed, NOW[name]) == expected
    # The same by the new name, and nothing else is changed.
    assert changed == with_settings(Recipe("r"), {NOW[name]: as_text(value)})
    assert changed != Recipe("r")


@pytest.mark.parametrize("name", NOW)
def test_recipes_from_before_are_still_read(name):
    content = OLD_VALUES[name]
    for part in reversed(name.split(".")):
        content = {part: content}
    changed = recipe_from_dict({"name": "r", **content})
    assert changed == with_settings(Recipe("r"), {name: as_text(OLD_VALUES[name])})


def test_a_whole_flat_recipe_is_the_nested_one():
    """As written by `train plain` before; what was left out was None."""
    augment = {
        "flip": 0.5, "half_body": 0.3, "scale": [0.6, 1.4], "rotate": 80.0, "rotate_prob": 0.6,
        "shift": 0.16, "shift_prob": 0.3, "color": "hsv", "blur": 0.1, "dropout": 1.0,
    }  # fmt: skip
    late = {**augment, "shift": 0, "scale": [0.75, 1.25], "rotate": 60, "dropout": 0.5}
    flat = {
        "name": "plain", "kind": "pose", "model": "rtmpose-t_aic-coco_256x192", "init": "none",
        "reduced_input": False, "epochs": 60, "batch": 64, "accumulate": 1, "lr": 0.001,
        "base_batch": 0, "lr_scaling": "linear", "weight_decay": 0.05, "warmup_steps": 300,
        "warmup_start": 1e-05, "flat": 0.5, "final_lr": 0.05, "clip": 35.0, "ema": 0.0005,
        "ema_gamma": 2000.0, "precision": "auto", "float32": [], "norms": "train",
        "sync_norms": True, "head_lr": 1.0, "lr_by_size": False, "augment": augment,
        "stage2": late, "stage2_epochs": 8, "beta": 10.0, "half_points": [0, 0],
        "label_weight": 1.0, "loss_batch": 256, "machine_labels": True, "distill": None,
        "heldout": 0.06, "eval_every": 2, "save_minutes": 5.0, "workers": 2, "seed": 21,
        "detector": None,
    }  # fmt: skip
    # Recipes from before name their network.
    plain = override(find_recipe("plain"), model_from_init=False)
    assert recipe_from_dict(flat) == plain
    assert recipe_from_dict({**flat, "stage2": None}).late_augment is None


def test_a_detector_from_before_without_some_parts_has_none():
    assert recipe_from_dict({"detector": {"pseudo": ""}}).detector.pseudo_label_model is None
    assert recipe_from_dict({"detector": {"stage2": None}}).detector.late_augment is None
    found = recipe_from_dict({"detector": {"stage2": {"mosaic": 0.5}}}).detector
    assert found.late_augment.mosaic == 0.5


@pytest.mark.parametrize("name", ["finetune", "distill", "person-detector", "rtmdet-m", "plain"])
def test_recipes_survive_json(name):
    recipe = find_recipe(name)
    assert recipe_from_dict(json.loads(json.dumps(to_dict(recipe)))) == recipe


def test_recipe_names_from_before():
    assert find_recipe("distil") == find_recipe("distill")


# --- names


def test_short_names_and_paths_are_the_same_field():
    for name in ("lr", "optimizer.lr"):
        assert with_settings(Recipe("r"), {name: "1e-4"}).optimizer.lr == 1e-4
    assert with_settings(Recipe("r"), {"momentum": "0"}).ema == Ema(0.0)
    assert with_settings(Recipe("r"), {"batch_norm.bn_mode": "train"}).batch_norm.bn_mode == "train"
    found = with_settings(Recipe("r"), {"float32_modules": "head.gau,head.cls_x"})
    assert found.float32_modules == ("head.gau", "head.cls_x")
    assert with_settings(found, {"float32_modules": "none"}).float32_modules == ()
    detector = find_recipe("person-detector")
    assert with_settings(detector, {"detector.pseudo": "none"}).detector.pseudo_label_model is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rotate", "augment.rotate or late_augment.rotate"),
        ("mosaic", "detector.augment.mosaic or detector.late_augment.mosaic"),
        ("flip_average", "distill.flip_average or detector.flip_average"),
        ("learning_rate", "no field"),
        ("weight_decy", "optimizer.weight_decay"),
        ("optimizer.weightdecay", "optimizer.weight_decay"),
        ("schedule.lr", "optimizer.lr"),
        ("lr.rotate", "no field"),
        ("schedule", "group of fields"),
        ("augment", "group of fields"),
    ],
)
def test_mistaken_names_say_which_are_near(name, message):
    with pytest.raises(InputError, match=message):
        with_settings(Recipe("r"), {name: "1"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("lr", "fast", "takes a number"),
        ("lr", "nan", "finite"),
        ("epochs", "2.5", "whole number"),
        ("epochs", "0", "from 1 to 1,000,000"),
        ("batch_size", "-1", "from 1 to 1,000,000"),
        ("val_fraction", "1", "0 to below 1"),
        ("precision", "int8", "one of auto, bf16"),
        ("reduced_input", "maybe", "true or false"),
        ("augment.scale", "1", "2 values"),
        ("augment.scale", "1,2,3", "2 values"),
        ("distill.stages", "5", "four stages"),
        ("detector.input_fit", "square", "letterbox, rectangular"),
        ("detector.long_side_range", "384,256", "smaller number first"),
        ("detector.long_side_range", "0,256", "from 32 to 8,192"),
        ("augment.color", "rgb", "hsv, photometric, none"),
    ],
)
def test_values_that_do_not_fit_say_what_does(name, text, message):
    with pytest.raises(InputError, match=message):
        with_settings(Recipe("r"), {name: text})


def test_override_takes_values_and_whole_parts():
    recipe = override(Recipe("r"), epochs=3, augment=Augmentation(rotate=5), ema=Ema(0.1, 5.0))
    assert recipe.schedule.epochs == 3
    assert recipe.augment.rotate == 5
    assert recipe.ema == Ema(0.1, 5.0)
    assert override(recipe, **{"augment.rotate": 7}).augment == replace(recipe.augment, rotate=7.0)
    assert override(find_recipe("finetune"), distill=None).distill is None
    for wrong in ({"epochs": "3"}, {"epochs": True}, {"lr": "x"}, {"augment": MosaicConfig()}):
        with pytest.raises(InputError):
            override(recipe, **wrong)


def test_changed_fields_are_paths():
    recipe = find_recipe("finetune")
    other = with_settings(recipe, {"lr": "1", "augment.rotate": "1", "distill": "none"})
    found = changed_fields(recipe, other)
    assert {"optimizer.lr", "augment.rotate", "distill.logits"} <= set(found)
    assert changed_fields(recipe, recipe) == []


def test_every_field_of_every_recipe_can_be_named():
    """Setting a field to what it is changes nothing."""

    def leaves(table, prefix=""):
        for name, value in vars(table).items():
            if is_dataclass(value):
                yield from leaves(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", value

    for make in (all_recipes()[n] for n in ("finetune", "person-detector")):
        recipe = make()
        for path, value in leaves(recipe):
            assert override(recipe, **{path: value}) == recipe


def test_settings_without_an_effect_are_a_warning(caplog):
    with_settings(find_recipe("person-detector"), {"augment.rotate": "5", "epochs": "2"})
    assert "detector does not use augment.rotate" in caplog.text
    assert "epochs" not in caplog.text
    caplog.clear()
    with_settings(find_recipe("finetune"), {"augment.rotate": "5"})
    assert not caplog.text


def test_settings_of_the_command_line():
    assert parse_settings(["lr=1e-4", "model = a=b"]) == {"lr": "1e-4", "model": "a=b"}
    for wrong in ("lr", "lr=", "=1", ""):
        with pytest.raises(InputError, match="FIELD=VALUE"):
            parse_settings([wrong])


def test_teacher_backends_by_name():
    assert parse_teacher_backend("engine") == parse_teacher_backend("inference") == "inference"
    with pytest.raises(InputError, match="auto, inference, torch"):
        parse_teacher_backend("onnx")


def test_validation_data_is_refused_where_it_would_be_ignored():
    with pytest.raises(InputError, match="--val is for poses"):
        make_task(find_recipe("rtmdet-nano"), ["a"], evaluate_on=["b"])


# --- files


def test_recipes_of_trainings_and_of_ones_own_are_read(tmp_path):
    dots = trainable.write_set(tmp_path / "set")
    recipe = override(
        Recipe("tiny"), epochs=1, batch_size=4, lr=1e-3, base_batch_size=0, precision="fp32"
    )
    train(trainable.task(dots, recipe), recipe, tmp_path / "run")
    for name in ("recipe.json", "last.safetensors"):
        assert find_recipe(str(tmp_path / "run" / name)) == recipe

    (tmp_path / "mine.toml").write_text('kind = "heatmap"\nbatch = 8\n[schedule]\nepochs = 7\n')
    mine = find_recipe(str(tmp_path / "mine.toml"))
    assert (mine.name, mine.kind) == ("mine", "heatmap")
    assert (mine.schedule.batch_size, mine.schedule.epochs) == (8, 7)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "no recipe"),
        ("a.json", "[1]", "no recipe"),
        ("a.json", '{"epoch": 3}', "a.json.*no field 'epoch'"),
        ("a.json", '{"epochs": "3"}', "a.json.*epochs takes int"),
        ("a.toml", "epochs = ", "no recipe"),
        ("a.safetensors", "x", "safetensors"),
        ("missing.json", None, "cannot be read"),
        ("missing.safetensors", None, "cannot be read"),
    ],
)
def test_files_without_a_recipe_say_so(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        find_recipe(str(tmp_path / name))


def test_a_state_with_a_flat_recipe_goes_on_without_a_warning(tmp_path, caplog):
    dots = trainable.write_set(tmp_path / "set")
    recipe = override(
        Recipe("tiny"), epochs=2, batch_size=4, lr=1e-3, base_batch_size=0, precision="fp32"
    )
    part = train(
        trainable.task(dots, recipe), recipe, tmp_path / "run", until=lambda s: bool(s.metrics)
    )
    assert not part.finished
    state = states.load_state(tmp_path / "run")
    flat = {"name": "tiny", "epochs": 2, "batch": 4, "lr": 1e-3, "base_batch": 0}
    state["recipe"] = json.dumps({**flat, "precision": "fp32", "stage2": None, "distill": None})
    states.save_state(tmp_path / "run", state)
    with caplog.at_level(logging.WARNING):
        rest = train(trainable.task(dots, recipe), recipe, tmp_path / "run", resume=True)
    assert rest.finished
    assert "recipe has changed" not in caplog.text
    changed = override(recipe, lr=2e-3, epochs=3)
    train(trainable.task(dots, changed), changed, tmp_path / "run", resume=True)
    assert "schedule.epochs, optimizer.lr" in caplog.text


# --- tasks


def test_a_task_needs_only_the_required_members(tmp_path):
    """No forward, no auxiliary module, no progress, batches in a plain list."""
    dots = trainable.write_set(tmp_path / "set")
    recipe = override(
        Recipe("tiny"), epochs=2, batch_size=4, lr=1e-3, base_batch_size=0, precision="fp32"
    )
    whole = trainable.task(dots, recipe)

    class Small:
        network = whole.network
        card = whole.card

        def steps(self, world=1):
            return 2

        def batches(self, epoch, generator_seed, rank, world):
            return list(whole.batches(epoch, generator_seed, rank, world))[:2]

        def losses(self, network, batch):
            return whole.losses(network, batch)

        def evaluate(self, network):
            return {}

    task = Small()
    part = train(task, recipe, tmp_path / "run", until=lambda s: True)
    assert train(task, recipe, tmp_path / "run", resume=True).finished
    assert not part.status.metrics
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_nothing_to_learn_is_an_error(tmp_path):
    dots = trainable.write_set(tmp_path / "set")
    recipe = override(Recipe("tiny"), epochs=1, batch_size=4, label_weight=0, precision="fp32")
    with pytest.raises(InputError, match="nothing to learn"):
        train(trainable.task(dots, recipe), recipe, tmp_path / "run")


def test_every_number_of_a_recipe_has_a_range():
    """Far outside is refused with a line, for all fields of all parts; so are NaN and infinity."""
    from dataclasses import fields, is_dataclass

    from rtmpose.training.recipes.recipe import DetectorSettings, Distillation

    recipe = Recipe("r", distill=Distillation(), detector=DetectorSettings())
    parts = [recipe, recipe.detector.augment]
    parts += [v for f in fields(recipe) if is_dataclass(v := getattr(recipe, f.name))]
    checked = 0
    for part in parts:
        for field in fields(part):
            value = getattr(part, field.name)
            first = value[0] if isinstance(value, tuple) and value else value
            if isinstance(first, bool) or not isinstance(first, int | float):
                continue
            for bad in (-1e9, float("nan"), float("inf")):
                wrong = (bad,) * len(value) if isinstance(value, tuple) else bad
                with pytest.raises(InputError, match=field.name):
                    replace(part, **{field.name: wrong})
                checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    "text", ["workers=-1", "batch=0", "batch_size=0", "workers=99999", "augment.scale=2,1"]
)
def test_settings_out_of_range_are_told_in_a_line(text, capsys):
    from rtmpose.cli import main

    assert main(["train", "finetune", "--data", "nowhere", "--set", text]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert " from " in error or "first" in error
