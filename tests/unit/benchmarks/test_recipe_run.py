"""The benchmark of recipes: finished work is not repeated, and never reused for other values."""

from benchmarks.recipes.run import changed, once, work_folder
from pipeline.parameters.recipes import RECIPES
from tests.unit.encoder.test_loop import same_weights


def test_a_change_is_the_recipe_with_its_fields_set():
    assert changed("best") == RECIPES["best"]
    recipe = changed("best,side_shares=0.6/0.8,same_set_share=1.0,refit=False,epochs=3")
    assert (recipe.side_shares, recipe.same_set_share, recipe.refit, recipe.epochs) == ((0.6, 0.8), 1.0, False, 3)


def test_finished_work_is_read_back_with_its_seconds_and_rate(make_encoder, tmp_path):
    calls = []

    def work(printer):
        calls.append(1)
        for rate in (50.0, 100.0):
            printer(1, {"pictures_per_second": rate})
        return make_encoder()

    first, again = once(tmp_path, work), once(tmp_path, work)
    assert len(calls) == 1 and first[1:] == again[1:] and first[2] == 200 / 3
    assert same_weights(first[0], again[0])


def test_other_values_use_other_folders(tmp_path):
    best = RECIPES["best"]
    assert work_folder(tmp_path, "metric_learning", best) == work_folder(tmp_path, "metric_learning", changed("best"))
    others = [work_folder(tmp_path, "metric_learning", changed("best,epochs=3")), work_folder(tmp_path, "distillation", best)]
    assert len({work_folder(tmp_path, "metric_learning", best), *others}) == 3
