"""The published recipes, by their figures."""

import dataclasses
import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'rtmpose[train]'")
pytest.importorskip(
    "lightning_fabric", reason="lightning-fabric is not installed: pip install 'rtmpose[train]'"
)

from rtmpose.errors import InputError  # noqa: E402
from rtmpose.training import find_recipe  # noqa: E402
from rtmpose.training.recipes import Recipe, all_recipes, to_dict  # noqa: E402
from rtmpose.training.recipes.published_pose import PUBLISHED  # noqa: E402
from rtmpose.zoo import find, load_zoo  # noqa: E402

FIGURES = {
    # epochs, batch per GPU, base batch, decay, epochs of the second stage, scale, rotation
    "rtmpose-t_aic-coco_256x192": (420, 256, 1024, 0.0, 30, (0.6, 1.4), 80),
    "rtmpose-s_body8_256x192": (420, 256, 1024, 0.0, 30, (0.6, 1.4), 80),
    "rtmpose-m_aic-coco_384x288": (420, 256, 1024, 0.05, 30, (0.6, 1.4), 80),
    "rtmpose-x_body8_384x288": (700, 256, 1024, 0.05, 20, (0.5, 1.5), 90),
    "rtmpose-s_body8-halpe26_256x192": (700, 1024, 1024, 0.0, 30, (0.6, 1.4), 80),
    "rtmpose-l_body8-halpe26_384x288": (700, 512, 1024, 0.05, 30, (0.5, 1.5), 90),
    "rtmpose-m_coco-wholebody_256x192": (270, 64, 512, 0.05, 30, (0.6, 1.4), 80),
    "rtmpose-x_coco-wholebody_384x288": (270, 32, 512, 0.05, 30, (0.5, 1.5), 90),
    "rtmpose-m_ap10k_256x256": (210, 64, 512, 0.05, 30, (0.6, 1.4), 80),
    "rtmpose-t_face6_256x256": (120, 256, 512, 0.0, 10, (0.5, 1.5), 80),
    "rtmpose-m_hand5_256x256": (210, 32, 256, 0.05, 30, (0.5, 1.5), 180),
    "rtmw-x_cocktail14_256x192": (270, 704, 5632, 0.1, 10, (0.5, 1.5), 90),
    "cspnext-s-udp_aic-coco_256x192": (210, 256, 1024, 0.05, 30, (0.6, 1.4), 80),
}
SIGMAS = {(192, 256): (4.9, 5.66), (256, 256): (5.66, 5.66), (288, 384): (6.0, 6.93)}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_the_publishers(name):
    r = find_recipe(name)
    found = (
        r.epochs,
        r.batch,
        r.base_batch,
        r.weight_decay,
        r.stage2_epochs,
        r.augment.scale,
        r.augment.rotate,
    )
    assert found == FIGURES[name]
    assert (r.warmup_steps, r.warmup_start, r.ema) == (1000, 1e-5, 2e-4)
    assert r.lr == (5e-4 if name.startswith("rtmw") else 4e-3)
    assert r.clip == (0 if r.kind == "heatmap" else 35)
    assert r.stage2.shift == 0


def test_every_published_model_of_the_zoo_has_a_recipe():
    # DWPose is distilled in two stages, which is not one of the recipes.
    ours = {
        c.id
        for c in load_zoo()
        if c.published
        and c.has_network
        and c.output in ("keypoints", "classes")
        and c.trained_on != "ucoco"
    }
    assert set(PUBLISHED) == ours
    for name, make in PUBLISHED.items():
        recipe = make()
        card = find(name)
        assert recipe.model == card.id
        assert (
            recipe.kind
            == {"simcc": "pose", "heatmap": "heatmap", "classifier": "classifier"}[card.codec.kind]
        )
        assert recipe.init == "none" or find(recipe.init)
        if card.codec.kind == "simcc":
            assert card.codec.sigma == SIGMAS[card.input_wh]


def test_recipes_are_frozen_and_become_json():
    for make in all_recipes().values():
        recipe = make()
        assert isinstance(recipe, Recipe)
        assert json.loads(json.dumps(to_dict(recipe), default=str))["name"] == recipe.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.lr = 1


def test_short_names_and_mistakes():
    assert find_recipe("rtmpose-m").model == find("rtmpose-m").id
    assert find_recipe("finetune").distill.logits > 0
    with pytest.raises(InputError, match="did you mean finetune"):
        find_recipe("finetunes")


def test_the_command_lists_recipes_and_names_mistakes(capsys):
    from rtmpose.cli import main

    assert main(["train", "list"]) == 0
    assert "finetune" in capsys.readouterr().out
    for arguments, message in (
        (["train", "finetune"], "needs data"),
        (["train", "nothing-like-it", "--data", "x"], "no recipe"),
        (["train", "finetune", "--data", "x", "--set", "lr"], "FIELD=VALUE"),
        (["train", "finetune", "--data", "x", "--set", "rate=1"], "no field"),
        (["train", "plain", "--data", "/does/not/exist"], "does not exist"),
    ):
        assert main(arguments) == 1
        assert message in capsys.readouterr().err
