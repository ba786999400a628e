import copy
import dataclasses
import shutil
import time

import numpy as np
import pytest
import torch

from crystal_eyes.data.catalogue import PICTURES, Catalogue, write
from crystal_eyes.encoder import loop
from crystal_eyes.encoder.dataset import HeadViews
from crystal_eyes.encoder.loop import best_epoch, embed_heads, learning_rate_share
from crystal_eyes.encoder.metric_learning import train_encoder
from crystal_eyes.encoder.options import TrainingOptions
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.retrieval import retrieval

OPTIONS = TrainingOptions(
    epochs=3,
    side_shares=(1 / 2, 2 / 3, 5 / 6),
    arcface_weight=0.25,
    same_set_share=0.5,
    views="serving",
    refit=False,  # done after the last epoch only
    batch_size=8,
    pictures_per_class=2,
)
DROPS = {"drop_rate": 0.2, "drop_connect_rate": 0.2}


class Stop:
    """An on_epoch callback that records its arguments, and is interrupted after an epoch."""

    def __init__(self, after: int = 0):
        self.after, self.epochs, self.history = after, [], []

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append(epoch)
        self.history.append(metrics)
        if epoch == self.after:
            raise KeyboardInterrupt


def run(encoder, folder, workspace, on_epoch, **changes) -> int:
    return train_encoder(encoder, Catalogue(folder), dataclasses.replace(OPTIONS, **changes), workspace, on_epoch)


def what_was_learned(history) -> list[dict[str, float]]:
    return [{k: v for k, v in metrics.items() if k != "pictures_per_second"} for metrics in history]


def same_weights(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def uninterrupted(catalogue_folder, make_encoder, tmp_path_factory):
    """(encoder, best epoch, history, workspace) of an uninterrupted training run, with dropout and drop connect."""
    encoder, told, workspace = make_encoder(**DROPS), Stop(), tmp_path_factory.mktemp("training")
    best = run(encoder, catalogue_folder, workspace, told)
    return encoder, best, told.history, workspace


def test_every_epoch_is_reported_with_all_metrics(uninterrupted):
    _, best, history, _ = uninterrupted
    assert len(history) == 3
    for metrics in history:
        assert set(metrics) == {"loss", "map_at_r", "precision_at_1", "pictures_per_second", "learning_rate"}
        assert all(np.isfinite(list(metrics.values()))) and metrics["loss"] > 0 and metrics["pictures_per_second"] > 0
        assert 0 <= metrics["map_at_r"] <= 1 and 0 <= metrics["precision_at_1"] <= 1
    assert best == 1 + int(np.argmax([metrics["map_at_r"] for metrics in history]))


def test_the_encoder_ends_with_the_weights_that_scored_best(uninterrupted, catalogue_folder, make_encoder):
    encoder, best, history, _ = uninterrupted
    assert not encoder.training and not same_weights(encoder, make_encoder(**DROPS))
    table = Catalogue(catalogue_folder).table()
    validation = table[table["encoder_split"] == "validation"].reset_index(drop=True)
    found = retrieval(
        embed_heads(encoder, Catalogue(catalogue_folder), validation, 32, torch.device("cpu")), validation["character"]
    )
    assert found["map_at_r"] == pytest.approx(history[best - 1]["map_at_r"], abs=1e-6)


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_run_continues_bit_for_bit(uninterrupted, catalogue_folder, make_encoder, tmp_path, after):
    expected, best, history, _ = uninterrupted
    with pytest.raises(KeyboardInterrupt):
        run(make_encoder(**DROPS), catalogue_folder, tmp_path, Stop(after))
    encoder, told = make_encoder(seed=99, **DROPS), Stop()  # whatever it starts from, the checkpoint counts
    assert run(encoder, catalogue_folder, tmp_path, told) == best
    assert told.epochs == [1, 2, 3]
    assert what_was_learned(told.history) == what_was_learned(history)
    assert same_weights(encoder, expected)


def test_a_finished_training_run_is_reported_again_but_not_repeated(uninterrupted, catalogue_folder, make_encoder, tmp_path):
    expected, best, history, workspace = uninterrupted
    shutil.copytree(workspace, tmp_path / "copy")
    encoder, told = make_encoder(seed=99, **DROPS), Stop()
    assert run(encoder, catalogue_folder, tmp_path / "copy", told) == best
    assert told.history == history and same_weights(encoder, expected)


def test_the_number_of_workers_changes_nothing(uninterrupted, catalogue_folder, make_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "worker_count", lambda device: 2)
    told = Stop(after=1)
    with pytest.raises(KeyboardInterrupt):
        run(make_encoder(**DROPS), catalogue_folder, tmp_path, told)
    assert what_was_learned(told.history) == what_was_learned(uninterrupted[2][:1])


def test_another_seed_is_another_training(uninterrupted, catalogue_folder, make_encoder, tmp_path):
    told = Stop(after=1)
    with pytest.raises(KeyboardInterrupt):
        run(make_encoder(**DROPS), catalogue_folder, tmp_path, told, seed=1)
    assert told.history[0]["loss"] != uninterrupted[2][0]["loss"]


def test_views_made_on_the_device_continue_bit_for_bit_too(catalogue_folder, make_encoder, tmp_path):
    whole, first, second = (make_encoder(seed=seed, **DROPS) for seed in (0, 0, 99))
    history, told = Stop(), Stop()
    best = run(whole, catalogue_folder, tmp_path / "whole", history, views="strong")
    with pytest.raises(KeyboardInterrupt):
        run(first, catalogue_folder, tmp_path / "parts", Stop(1), views="strong")
    assert run(second, catalogue_folder, tmp_path / "parts", told, views="strong") == best
    assert what_was_learned(told.history) == what_was_learned(history.history)
    assert same_weights(second, whole)


def test_a_training_run_with_a_deadline_ends_then_with_a_small_learning_rate(catalogue_folder, make_encoder, tmp_path):
    told, begin = Stop(), time.monotonic()
    run(make_encoder(), catalogue_folder, tmp_path, told, views="strong", until=begin + 6)
    assert 6 <= time.monotonic() - begin < 20
    assert told.history[-1]["learning_rate"] < 0.1 * OPTIONS.learning_rate
    assert len(told.epochs) != OPTIONS.epochs  # as many as the time allowed


def test_the_embedding_layer_is_fitted_anew_after_the_best_epoch(uninterrupted, catalogue_folder, make_encoder, tmp_path):
    _, best, _, workspace = uninterrupted
    shutil.copytree(workspace, tmp_path / "copy")
    encoder = make_encoder(**DROPS)
    assert run(encoder, catalogue_folder, tmp_path / "copy", Stop(), refit=True) == best
    plain = uninterrupted[0].state_dict()
    differ = {name for name, value in encoder.state_dict().items() if not torch.equal(value, plain[name])}
    assert encoder.description.pooling == "rooted"
    assert differ == {"backbone.classifier.weight", "backbone.classifier.bias"}
    again = make_encoder(**DROPS)
    run(again, catalogue_folder, tmp_path / "copy", Stop(), refit=True)
    assert same_weights(again, encoder)


@pytest.mark.parametrize("scores", [(0.9, 0.1, 0.2), (0.1, 0.9, 0.2), (0.1, 0.2, 0.9), (0.1, 0.5, 0.5)])
def test_the_weights_of_the_best_epoch_are_kept_wherever_it_was(catalogue_folder, make_encoder, tmp_path, monkeypatch, scores):
    told, encoder, by_epoch = iter(scores), make_encoder(), []
    monkeypatch.setattr(loop, "retrieval", lambda *_: {"map_at_r": next(told), "precision_at_1": 0.0})
    best = run(encoder, catalogue_folder, tmp_path, lambda *_: by_epoch.append(copy.deepcopy(encoder.state_dict())))
    assert best == max(epoch for epoch in (1, 2, 3) if scores[epoch - 1] == max(scores))  # the last of equals
    kept = [all(map(torch.equal, encoder.state_dict().values(), weights.values())) for weights in by_epoch]
    assert kept == [epoch == best for epoch in (1, 2, 3)]


def test_training_learns_to_distinguish_its_characters(catalogue_folder, make_encoder, tmp_path):
    told = Stop()
    run(
        make_encoder(), catalogue_folder, tmp_path, told, epochs=6, learning_rate=3e-3, side_shares=(1.0,), arcface_weight=1.0,
        same_set_share=0.0, views="light",
    )  # fmt: skip
    assert told.history[-1]["loss"] < 0.8 * told.history[0]["loss"]


class TwoSets(Catalogue):
    """The characters are from two sets alternately."""

    def table(self):
        table = super().table()
        return table.assign(set=np.array(["a", "b"])[np.unique(table["character"], return_inverse=True)[1] % 2])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_batches_are_of_one_set_as_often_as_asked(catalogue_folder, make_encoder, tmp_path, monkeypatch, share):
    catalogue, shown = TwoSets(catalogue_folder), []

    class Watched(HeadViews):
        def __getitems__(self, positions):
            if self.seed is not None:
                shown.append([self.order[position] for position in positions])
            return super().__getitems__(positions)

    monkeypatch.setattr(loop, "HeadViews", Watched)
    options = dataclasses.replace(OPTIONS, epochs=4, batch_size=4, same_set_share=share)
    train_encoder(make_encoder(), catalogue, options, tmp_path, Stop())
    table = catalogue.table()
    sets = table[table["encoder_split"] == "train"]["set"].to_numpy(str)
    mixed = [len(set(sets[batch])) > 1 for batch in shown]
    assert len(mixed) >= 8 and any(mixed) == (share == 0)


def test_non_finite_weights_are_a_user_error(catalogue_folder, make_encoder, tmp_path):
    encoder = make_encoder()
    torch.nn.init.constant_(encoder.backbone.classifier.weight, float("nan"))
    with pytest.raises(UserError, match="loss became nan in epoch 1: lower the learning rate"):
        run(encoder, catalogue_folder, tmp_path, Stop())
    assert not (tmp_path / "checkpoint").exists()


def changed_catalogue(folder, target, change):
    """A copy of a catalogue with its table changed; the pictures stay."""
    old = Catalogue(folder)
    table = old.table()
    heads = [old.read(*place) for place in zip(table["offset"], table["length"], table["digest"])]
    table = change(table)
    write(target, table, [heads[i] for i in table.index])
    return target


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_too_few_characters_are_a_user_error(catalogue_folder, make_encoder, tmp_path, missing):
    def change(table):
        one = table["character"][table["encoder_split"] == "train"].iloc[0]
        dropped = (table["encoder_split"] == missing) & ((table["character"] != one) | (missing == "validation"))
        return table[~dropped]

    folder = changed_catalogue(catalogue_folder, tmp_path / "few", change)
    with pytest.raises(UserError, match="characters for training.*add characters"):
        run(make_encoder(), folder, tmp_path, Stop())


def test_a_batch_too_small_for_two_characters_is_a_user_error(catalogue_folder, make_encoder, tmp_path):
    with pytest.raises(UserError, match="batch_size 4 is too small for 2 characters with 4 pictures each"):
        run(make_encoder(), catalogue_folder, tmp_path, Stop(), batch_size=4, pictures_per_class=4)


def test_a_picture_damaged_since_is_named_in_one_line(catalogue_folder, make_encoder, tmp_path):
    shutil.copytree(catalogue_folder, tmp_path / "damaged")
    table = Catalogue(tmp_path / "damaged").table()
    data = bytearray((tmp_path / "damaged" / PICTURES).read_bytes())
    for offset in table["offset"][table["encoder_split"] == "train"]:
        data[offset + 20] ^= 1
    (tmp_path / "damaged" / PICTURES).write_bytes(data)
    with pytest.raises(UserError, match=r"^picture Character \d/\d.png was changed after .*: rebuild the catalogue$") as caught:
        run(make_encoder(), tmp_path / "damaged", tmp_path, Stop())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("total", [1, 2, 10, 101])
def test_the_learning_rate_warms_up_and_falls(total):
    rates = [learning_rate_share(step, total) for step in range(total)]
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(1) and min(rates) >= 0
    assert peak <= max(1, 0.1 * total)
    assert all(np.diff(rates[: peak + 1]) >= 0) and all(np.diff(rates[peak:]) <= 0)
    assert total < 10 or (rates[0] <= 1 and rates[-1] < 0.1)


def test_embeddings_that_became_nan_with_the_last_step_are_named(catalogue_folder, make_encoder, tmp_path):
    encoder = make_encoder()
    # as running statistics of batch normalization do, which no loss of the epoch has seen
    encoder.register_forward_hook(lambda module, _, found: found if module.training else found * float("nan"))
    with pytest.raises(UserError, match="embeddings became nan in epoch 1: lower the learning rate"):
        run(encoder, catalogue_folder, tmp_path, Stop())


def test_the_last_epoch_is_kept_where_no_epoch_could_be_scored():
    nan = float("nan")
    assert best_epoch([{"map_at_r": nan}, {"map_at_r": nan}]) == 2
    assert best_epoch([{"map_at_r": 0.1}, {"map_at_r": 0.3}, {"map_at_r": 0.3}, {"map_at_r": nan}]) == 3
