"""HeadDetector against ultralytics' own prediction, with the same weights on the same pictures."""

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from crystal_eyes.detector.runtime import FILE, HeadDetector
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.export import set_image_size
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.detector.training.trainer import build, prepare_ultralytics
from crystal_eyes.detector.training.weights import WEIGHTS, load_weights
from crystal_eyes.errors import UserError
from tests.runs import HEAD_DETECTOR


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The released detector: its weights and its ONNX file."""
    folder = tmp_path_factory.mktemp("network")
    for name in (WEIGHTS, FILE):
        (folder / name).write_bytes((HEAD_DETECTOR / name).read_bytes())
    prepare_ultralytics(folder / "ultralytics")
    return folder


def pictures() -> list[np.ndarray]:
    return [picture for _, picture, _ in compose_scenes(8, "scene", [5, 5], cast_cutouts(2, characters=30))]


def test_detections_equal_those_of_ultralytics(network):
    from ultralytics.models.yolo.detect import DetectionPredictor

    class Predictor(DetectionPredictor):
        def setup_model(self, model, verbose=False):
            super().setup_model(build("yolov5n", network / WEIGHTS, network), verbose=False)

    settings = {"imgsz": 320, "conf": 0.25, "iou": 0.6, "max_det": 3000, "rect": True, "device": "cpu"}
    ultralytics = Predictor(overrides={**settings, "save": False, "verbose": False, "project": str(network)})
    detector, seen = HeadDetector(network, 320), 0
    detector.calibration = None  # the network's own numbers
    for picture in pictures():
        (result,) = ultralytics(np.ascontiguousarray(picture[..., ::-1]))
        boxes, scores = detector.detect(picture, 0.25, 0.6)
        expected, confidences = result.boxes.xyxy.numpy(), result.boxes.conf.numpy()
        seen += len(expected)
        assert len(boxes) == len(expected)
        # by their places: two heads of nearly the same confidence may change theirs
        place, expected_place = (np.argsort(some @ [1, 3, 0, 0]) for some in (boxes, expected))
        boxes, scores, expected, confidences = (
            boxes[place],
            scores[place],
            expected[expected_place],
            confidences[expected_place],
        )
        assert np.abs(boxes - expected).max(initial=0) < 1.5 and np.abs(scores - confidences).max(initial=0) < 0.01
    assert seen > 10


def test_the_onnx_file_gives_what_torch_gives_at_any_size_and_is_small(network):
    model = build("yolov5n", network / WEIGHTS, network)
    session = onnxruntime.InferenceSession(network / FILE, providers=["CPUExecutionProvider"])
    for height, width in ((256, 320), (320, 192), (64, 640)):
        picture = np.stack([cv2.resize(one, (width, height)) for one in pictures()[:2]])
        with torch.inference_mode():
            expected = model(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)[0].numpy()
        answer = session.run(None, {"pictures": picture})[0]
        assert answer.shape == expected.shape == (2, 5, height * width // 64 * 21 // 16)
        assert np.abs(answer[:, 4] - expected[:, 4]).max() < 0.01
        assert np.abs(answer[:, :4] - expected[:, :4]).mean() < 0.1
    assert (network / FILE).stat().st_size < 8e6


def test_the_chosen_size_is_stored_in_the_file(network, tmp_path):
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
    assert boxes.dtype == scores.dtype == np.float32
    assert np.all(boxes >= 0) and np.all(boxes[:, 2] <= size[1]) and np.all(boxes[:, 3] <= size[0])


def test_a_file_that_is_not_a_detector_is_refused_in_one_line(tmp_path, exported):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    for path, why in (
        (tmp_path / "broken.onnx", "can't be read"),
        (exported[1], "is not a Crystal Eyes head detector"),
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


def test_ultralytics_leaves_pillow_opencv_and_torch_as_they_are(network):
    """Its import replaces Image.open by one that installs packages for pictures of unknown formats."""
    import ultralytics  # noqa: F401

    for function in (Image.open, cv2.imread, cv2.imwrite, torch.save):
        assert not (getattr(function, "__module__", None) or "").startswith("ultralytics")
