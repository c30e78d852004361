"""Recipes and schedules."""

import pytest

from deblurbench.errors import UsageError
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.training.recipe import Recipe, read_recipe
from deblurbench.training.schedule import learning_rate, position

CARD = plugin("methods", "ifirnn").card


def test_every_recipe_of_every_card_is_valid():
    read = [
        read_recipe(p.card, name)
        for p in plugins("methods").values()
        if isinstance(p.card, MethodCard)
        for name in p.card.recipes
    ]
    assert len(read) >= 4
    meant = {recipe.protocol for recipe in read if recipe.protocol}
    assert {"gopro:nah2019", "gopro:linear-all", "dvd"} <= meant
    for name in meant:
        dataset, _, protocol = name.partition(":")
        assert plugin("datasets", dataset).card.protocol(protocol or None).name == name


def test_the_papers_recipe_is_the_papers():
    recipe = read_recipe(CARD, "paper")
    assert (recipe.batch, recipe.frames, recipe.crop, recipe.epochs) == (4, 12, 256, 500)
    assert (recipe.learning_rate, recipe.halve_every, recipe.noise, recipe.betas) == (1e-4, 200, 2.0, (0.9, 0.999))
    assert not recipe.initialise and not recipe.ema and recipe.clip_norm is None


def test_srns_papers_recipe_is_the_papers():
    recipe = read_recipe(plugin("methods", "srn").card, "paper")
    assert (recipe.batch, recipe.frames, recipe.crop, recipe.epochs) == (16, 1, 256, 2000)
    assert (recipe.learning_rate, recipe.final_learning_rate, recipe.power) == (1e-4, 1e-6, 0.3)
    assert (recipe.schedule, recipe.betas, recipe.loss, recipe.augment) == ("polynomial", (0.9, 0.999), "mse", "none")
    assert recipe.initialise == {"xavier_uniform": True} and not recipe.noise and not recipe.ema


def test_the_recipe_for_dvd_goes_on_where_the_paper_recipe_ends():
    paper, dvd = read_recipe(CARD, "paper"), read_recipe(CARD, "dvd")
    halvings = (paper.epochs - 1) // paper.halve_every
    assert dvd.learning_rate == paper.learning_rate / 2**halvings and dvd.fine_tunes
    same = ("batch", "frames", "crop", "noise", "betas", "loss", "augment", "schedule")
    assert all(getattr(paper, key) == getattr(dvd, key) for key in same)


def test_settings_are_yaml_and_reach_into_mappings():
    recipe = read_recipe(
        CARD, "quick", ["batch=3", "learning_rate=2e-4", "synthesis={noise: 0}", "initialise.residual=0.1"]
    )
    assert (recipe.batch, recipe.learning_rate, recipe.synthesis) == (3, 2e-4, {"noise": 0})
    assert recipe.initialise == {"identity": True, "residual": 0.1}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bacth=3", "Did you mean 'batch'"),
        ("batch=many", "batch.*many"),
        ("batch=0", "batch.*greater than or equal to 1"),
        ("batch", "key=value"),
        ("schedule=linear", "schedule.*'constant', 'halve'"),
        ("batch.size=3", "holds no keys"),
        ("crop=[1", "not YAML"),
    ],
)
def test_bad_settings_say_what_is_wrong(setting, message):
    with pytest.raises(UsageError, match=message):
        read_recipe(CARD, "quick", [setting])


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'quick'"):
        read_recipe(CARD, "quik")


def test_halving_every_200_of_500_epochs():
    recipe = Recipe(epochs=500, schedule="halve", halve_every=200, learning_rate=1e-4)
    at = [learning_rate(recipe, 0, epoch / 500) for epoch in (0, 199, 200, 399, 400, 499)]
    assert at == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5])


def test_polynomial_decay_is_tensorflows():
    recipe = Recipe(schedule="polynomial", power=0.3, learning_rate=1e-4, final_learning_rate=1e-6)
    assert learning_rate(recipe, 0, 0.5) == pytest.approx((1e-4 - 1e-6) * 0.5**0.3 + 1e-6)
    assert learning_rate(recipe, 0, 1.0) == pytest.approx(1e-6)


def test_cosine_and_warmup():
    recipe = Recipe(schedule="cosine", learning_rate=1.0, final_learning_rate=0.2, warmup=3)
    assert [learning_rate(recipe, step, 0.0) for step in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert learning_rate(recipe, 9, 0.5) == pytest.approx(0.6)
    assert learning_rate(recipe, 9, 1.0) == pytest.approx(0.2)


def test_position_follows_whichever_limit_is_nearer():
    assert position(30, 100, 60, 2) == 0.5
    assert position(80, 100, 60, 2) == 0.8
    assert position(5, None, 600, 2) == 1.0
    assert position(5, 10, 600, None) == 0.5
