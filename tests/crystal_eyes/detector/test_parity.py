"""Our runner against ultralytics' own prediction, with the same weights on the same pictures."""

import numpy as np
import onnxruntime
import pytest
import torch

from crystal_eyes.detector import dataset
from crystal_eyes.detector.boxes import iou
from crystal_eyes.detector.export import SMALL, set_image_size
from crystal_eyes.detector.runner import FILE, HeadDetector
from crystal_eyes.detector.training import WEIGHTS, build, load_weights, prepare_ultralytics
from crystal_eyes.errors import UserError


@pytest.fixture(scope="module")
def network(tiny_detector, tmp_path_factory):
    """A briefly trained yolov5n: its weights and its ONNX file."""
    folder = tmp_path_factory.mktemp("network")
    for name in (WEIGHTS, FILE):
        (folder / name).write_bytes((tiny_detector.folder / name).read_bytes())
    prepare_ultralytics(folder / "ultralytics")
    return folder


def rounded(model):
    """The network with its weights rounded as the file stores them: rounding is looked at in a test of its own."""
    model = model.fuse(verbose=False)
    for value in model.parameters():
        if value.numel() > SMALL:
            value.data = value.data.half().float()
    return model


def pictures() -> list[np.ndarray]:
    take = dataset.drawn_heads(7, characters=30)
    return [picture for _, picture, _ in dataset.scenes(4, "scene", [5, 5], take)]


def test_the_runner_answers_like_ultralytics(network):
    from ultralytics.models.yolo.detect import DetectionPredictor

    class Predictor(DetectionPredictor):
        def setup_model(self, model, verbose=False):
            super().setup_model(rounded(build("yolov5n", network / WEIGHTS, network)), verbose=False)

    settings = {"imgsz": 320, "conf": 0.002, "iou": 0.6, "max_det": 3000, "rect": True, "device": "cpu"}
    theirs = Predictor(overrides={**settings, "save": False, "verbose": False, "project": str(network)})
    ours, seen = HeadDetector(network, 320), 0
    for picture in pictures():
        (result,) = theirs(np.ascontiguousarray(picture[..., ::-1]))
        boxes, scores = ours.detect(picture, 0.002, 0.6)
        expected, sure = result.boxes.xyxy.numpy(), result.boxes.conf.numpy()
        seen += len(expected)
        # two boxes whose overlap is within rounding of the limit may fare differently
        same = iou(expected, boxes).argmax(axis=1)
        close = np.abs(boxes[same] - expected).max(axis=1) < 0.1
        assert close.mean() >= 0.95 and abs(len(boxes) - len(expected)) <= 0.05 * len(expected)
        assert np.abs(scores[same] - sure)[close].max() < 1e-3
    assert seen > 40


def test_the_file_answers_like_torch_at_any_size_and_is_small(network):
    model = rounded(build("yolov5n", network / WEIGHTS, network))
    session = onnxruntime.InferenceSession(network / FILE, providers=["CPUExecutionProvider"])
    for height, width in ((256, 320), (320, 192), (64, 640)):
        picture = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        with torch.inference_mode():
            expected = model(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)[0].numpy()
        answer = session.run(None, {"pictures": picture})[0]
        assert answer.shape == expected.shape == (2, 5, height * width // 64 * 21 // 16)
        assert np.abs(answer[:, 4] - expected[:, 4]).max() < 1e-3
        assert np.abs(answer[:, :4] - expected[:, :4]).max() < 0.1
    assert (network / FILE).stat().st_size < 8e6


def test_the_chosen_size_is_kept_in_the_file(network, tmp_path):
    (tmp_path / FILE).write_bytes((network / FILE).read_bytes())
    set_image_size(tmp_path / FILE, 448)
    assert HeadDetector(tmp_path).image_size == 448
    boxes, _ = HeadDetector(tmp_path).detect(pictures()[0])
    assert boxes.shape[1] == 4


@pytest.mark.parametrize("size", [(16, 16), (1, 300), (4000, 200)])
def test_boxes_lie_in_the_picture_whatever_its_shape(network, size):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    boxes, scores = HeadDetector(network).detect(picture, 0.01)
    assert len(boxes) == len(scores) and np.all(np.diff(scores) <= 0)
    assert np.all(boxes >= 0) and np.all(boxes[:, 2] <= size[1]) and np.all(boxes[:, 3] <= size[0])


def test_a_file_that_is_no_detector_is_refused_in_one_line(tmp_path, exported):
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for path, why in (
        (tmp_path / "broken.onnx", "can't be read"),
        (exported[1], "no head detector"),
        (tmp_path, "can't be read"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            HeadDetector(path)
        assert "\n" not in str(caught.value)


def test_weights_of_another_architecture_or_of_nothing_are_refused(network, tmp_path):
    with pytest.raises(UserError, match="architecture"):
        build("yolov5s", network / WEIGHTS, network)
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="can't be read"):
        build("yolov5n", tmp_path / "broken.pt", network)


def test_an_ultralytics_pt_is_read_without_trusting_its_pickle(network, tmp_path):
    model, evil = build("yolov5n", network / WEIGHTS, network), tmp_path / "evil.pt"
    torch.save({"model": model.half(), "ema": None}, tmp_path / "good.pt")
    other = build("yolov5n", network / WEIGHTS, network)
    for value in other.parameters():
        value.data.zero_()
    load_weights(other, tmp_path / "good.pt")
    assert all(torch.equal(a, b.float()) for a, b in zip(other.state_dict().values(), model.state_dict().values()))

    class Evil:
        def __reduce__(self):
            return (print, ("this must not run",))

    torch.save({"model": Evil()}, evil)
    with pytest.raises(UserError, match="can't be read"):
        load_weights(other, evil)
