"""Training of YOLOv5 through ultralytics. The only module that imports it (AGPL-3.0): what runs a detector never does."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save_file

from crystal_eyes.detector.training.circles import random_circles
from crystal_eyes.detector.training.torchvision_repair import repair
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track
from pipeline.parameters.steps import Detector

WEIGHTS = "detector.safetensors"
LOSSES = {"box_loss": "box_loss", "cls_loss": "class_loss", "dfl_loss": "distribution_loss"}
MEASURES = {"precision(B)": "precision", "recall(B)": "recall", "mAP50(B)": "map50", "mAP50-95(B)": "map50_95"}


def prepare_ultralytics(folder: Path) -> None:
    """Import ultralytics so that it neither calls out nor writes outside folder, nor logs by itself."""
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    folder.mkdir(parents=True, exist_ok=True)
    repair()
    threads, said = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    own = Image.open, cv2.imread, cv2.imwrite, cv2.imshow, torch.save
    from ultralytics import SETTINGS
    from ultralytics.data import utils

    # importing it replaces these for the whole process; its Image.open would install a package at a picture's bidding
    Image.open, cv2.imread, cv2.imwrite, cv2.imshow, torch.save = own
    if not said:  # and it would leave all cores but one idle
        os.environ.pop("OMP_NUM_THREADS", None)
        torch.set_num_threads(threads)
    utils.check_font = lambda *_: None  # looks for a font on the network even so; for plots, and we let it draw none
    SETTINGS.update({name: False for name in ("mlflow", "wandb", "tensorboard", "clearml", "comet", "dvc", "raytune", "sync")})


def train(data: Path, config: Detector, initial: Path | None, folder: Path, on_epoch: Callable[[int, dict], None]) -> Path:
    """Train on data/train.txt, keep the epoch that is best on data/val.txt, and write folder/detector/WEIGHTS.

    data: what dataset.write left. initial: a file to start from (.safetensors of ours, or an ultralytics .pt), or None.
    folder: everything is written there; an interrupted training goes on from it. on_epoch: called with the epoch (from 1)
    and its metrics: map50, map50_95, precision, recall, and the losses of training. Returns folder/detector.
    """
    prepare_ultralytics(folder / "ultralytics")
    last = folder / "run" / "weights" / "last.pt"
    if (folder / "detector").exists():  # the training was through when the step broke off
        return folder / "detector"
    if last.exists() and _checkpoint(last)["epoch"] == -1:  # so ultralytics marks the end
        return _write_weights(folder, config.architecture)
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.engine import trainer as trainer_module
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils import colorstr

    class Circled(YOLODataset):
        def build_transforms(self, hyp):
            transforms = super().build_transforms(hyp)
            if self.augment and config.circles:
                transforms.insert(len(transforms.transforms) - 1, Circles(config.seed))
            return transforms

    class Trainer(DetectionTrainer):
        def build_dataset(self, img_path, mode="train", batch=None):
            return Circled(
                img_path=img_path, imgsz=self.args.imgsz, batch_size=batch, augment=mode == "train", hyp=self.args,
                rect=mode == "val", cache=None, stride=32, pad=0.0 if mode == "train" else 0.5,
                prefix=colorstr(f"{mode}: "), task=self.args.task, classes=None, data=self.data, fraction=1.0,
            )  # fmt: skip

        def get_model(self, cfg=None, weights=None, verbose=True):
            model = super().get_model(cfg, None, verbose=False)
            if self.resume:
                model.load(weights)
            elif initial is not None:
                load_weights(model, initial)
            if bfloat16:
                model.model[-1].register_forward_hook(_to_float)  # losses of boxes need more than 8 bits
            return model

    # half as slow again without it; ultralytics itself allows it on CUDA only
    bfloat16 = _device() == "cpu" and torch.cpu._is_avx512_bf16_supported()
    if bfloat16:
        trainer_module.autocast = lambda *_, **__: torch.autocast("cpu", torch.bfloat16)
    (folder / "data.yaml").write_text(
        yaml.safe_dump({"path": str(data), "train": "train.txt", "val": "val.txt", "names": {0: "head"}})
    )
    trainer = Trainer(
        overrides={
            "model": f"{config.architecture}.yaml", "data": str(folder / "data.yaml"), "epochs": config.detector_epochs,
            "batch": config.detector_batch_size, "imgsz": config.detector_image_size, "seed": config.seed, "single_cls": True,
            "optimizer": "AdamW",
            "nbs": config.detector_batch_size,  # else gradients of several batches are summed up, for fewer steps
            "lr0": config.detector_learning_rate, "lrf": 0.02, "cos_lr": True,
            "warmup_epochs": min(1.0, config.detector_epochs / 10), "warmup_bias_lr": 0.0,
            "close_mosaic": max(1, config.detector_epochs // 4), "patience": 0, "hsv_h": 0.03, "degrees": 5.0, "translate": 0.1,
            "scale": 0.5, "amp": _device() != "cpu", "device": _device(),
            "workers": min(2, os.cpu_count() or 1), "plots": False, "verbose": False, "pretrained": False,
            "project": str(folder), "name": "run", "exist_ok": True, "resume": str(last) if last.exists() else False,
        }
    )  # fmt: skip

    def report(trainer) -> None:
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        metrics = {ours: float(losses[f"train/{name}"]) for name, ours in LOSSES.items() if f"train/{name}" in losses}
        metrics |= {ours: float(trainer.metrics.get(f"metrics/{name}", 0)) for name, ours in MEASURES.items()}
        if trainer.epoch < trainer.epochs and trainer.epoch not in seen:  # it calls once more at the end, of the best weights
            seen.add(trainer.epoch)
            on_epoch(trainer.epoch + 1, metrics)

    def batches(trainer) -> None:
        progress["bar"] = track(range(len(trainer.train_loader)), len(trainer.train_loader), "train", "batches")

    seen, progress = set(), {}
    trainer.add_callback("on_fit_epoch_end", report)
    trainer.add_callback("on_train_epoch_start", batches)
    trainer.add_callback("on_train_batch_end", lambda _: next(progress["bar"], None))
    trainer.train()
    return _write_weights(folder, config.architecture)


def _write_weights(folder: Path, architecture: str) -> Path:
    """The weights of the best epoch as folder/detector/WEIGHTS, in 16 bits, as ultralytics itself keeps them."""
    best, part, out = folder / "run" / "weights" / "best.pt", folder / "detector.part", folder / "detector"
    checkpoint = _checkpoint(best if best.exists() else best.with_name("last.pt"))
    state = (checkpoint.get("ema") or checkpoint["model"]).state_dict()
    half = {name: (value.half() if value.is_floating_point() else value).contiguous() for name, value in state.items()}
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    save_file(half, part / WEIGHTS, {"architecture": architecture})
    part.rename(out)
    return out


def _checkpoint(path: Path) -> dict:
    # ultralytics resumes from a pickle only: our own, of this machine, in the workspace of this very step
    return torch.load(path, map_location="cpu", weights_only=False)


class Circles:
    """random_circles as a transform of ultralytics: labels hold a uint8 picture and its boxes."""

    def __init__(self, seed: int):
        self.seed, self.rng = seed, None

    def __call__(self, labels: dict) -> dict:
        if self.rng is None:  # in the loader's process: each has a seed of its own
            self.rng = np.random.default_rng([self.seed, torch.initial_seed() % 2**32])
        instances = labels["instances"]
        instances.convert_bbox("xyxy")
        height, width = labels["img"].shape[:2]
        instances.denormalize(width, height)
        labels["img"] = random_circles(labels["img"], instances.bboxes, self.rng)
        return labels


def build(architecture: str, weights: Path, folder: Path) -> torch.nn.Module:
    """The network with weights, in evaluation mode: uint8 pictures / 255 in, [n, 5, anchors] out."""
    prepare_ultralytics(folder)
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(f"{architecture}.yaml", nc=1, verbose=False)
    load_weights(model, weights)
    return model.eval()


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Load .safetensors, or an ultralytics .pt without trusting what it pickles. Raises UserError where they don't fit.

    Of a .pt trained on other classes the last layer's class scores are left at random.
    """
    if path.is_dir():
        path = path / WEIGHTS
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _state_of_pt(path)
    except Exception as error:
        raise UserError(f"weights {path} can't be read ({str(error).splitlines()[0]}): give .safetensors or .pt") from None
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < 0.9 * len(own):
        raise UserError(f"weights {path} fit {len(fitting)} of {len(own)} tensors: choose the architecture that they are of")
    model.load_state_dict(fitting, strict=False)


def _state_of_pt(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of an ultralytics checkpoint; only classes of torch.nn and ultralytics.nn may be built from it."""
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    allowed = []
    for name in names:
        module, _, attribute = name.rpartition(".")
        if not module.startswith(("torch.nn.", "ultralytics.nn.")) and name not in ("builtins.set", "torch.Size"):
            raise ValueError(f"it asks for {name}")
        allowed.append(getattr(__import__(module, fromlist=[attribute]), attribute))
    with torch.serialization.safe_globals(allowed):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return (checkpoint.get("ema") or checkpoint["model"]).float().state_dict()


def _to_float(module, inputs, outputs):
    """A forward hook: all tensors in what the last layer answers, as float32."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return {name: _to_float(module, inputs, value) for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_to_float(module, inputs, value) for value in outputs)
    return outputs


def _device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
