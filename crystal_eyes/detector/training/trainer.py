"""Training of YOLOv5 through ultralytics. The only module that imports it (AGPL-3.0): running a detector doesn't need it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from PIL import Image

from crystal_eyes.detector.training.circles import random_circles
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.detector.training.torchvision_repair import repair
from crystal_eyes.detector.training.weights import load_checkpoint, load_weights, save_best
from crystal_eyes.progress import track

CIRCLED = 0.6  # share of the pictures whose heads get random circles
LOSSES = {"box_loss": "box_loss", "cls_loss": "class_loss", "dfl_loss": "distribution_loss"}
METRICS = {"precision(B)": "precision", "recall(B)": "recall", "mAP50(B)": "map50", "mAP50-95(B)": "map50_95"}


def prepare_ultralytics(folder: Path) -> None:
    """Import ultralytics so that it makes no network calls, writes only below folder, and logs nothing by itself."""
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    folder.mkdir(parents=True, exist_ok=True)
    repair()
    threads, omp_threads = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    own = Image.open, cv2.imread, cv2.imwrite, cv2.imshow, torch.save
    from ultralytics import SETTINGS
    from ultralytics.data import utils

    # its import replaces these for the whole process; its Image.open would install a package to read some pictures
    Image.open, cv2.imread, cv2.imwrite, cv2.imshow, torch.save = own
    if not omp_threads:  # its import would leave all cores but one idle
        os.environ.pop("OMP_NUM_THREADS", None)
        torch.set_num_threads(threads)
    utils.check_font = lambda *_: None  # it looks up a host even offline; the font is for plots, which are turned off
    SETTINGS.update({name: False for name in ("mlflow", "wandb", "tensorboard", "clearml", "comet", "dvc", "raytune", "sync")})


def train(
    data: Path,
    options: DetectorTrainingOptions,
    initial: Path | None,
    folder: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
    workers: int = 2,
) -> Path:
    """Train on data/train.txt, keep the epoch that is best on data/val.txt; returns the new folder/detector with WEIGHTS.

    data: what yolo_dataset.write wrote. initial: weights to start from (see load_weights), or None.
    folder: all files are written below it; an interrupted training continues from it. on_epoch: called with each epoch (from 1)
    and its metrics: map50, map50_95, precision, recall, and the training losses. workers: processes that load pictures, at most
    one per core.
    """
    prepare_ultralytics(folder / "ultralytics")
    run, out = folder / "run", folder / "detector"
    last = run / "weights" / "last.pt"
    if out.exists():  # the training run was complete when the step was interrupted
        return out
    if last.exists() and load_checkpoint(last)["epoch"] == -1:  # ultralytics' marker of a finished training run
        save_best(run, out, options.architecture)
        return out
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.engine import trainer as trainer_module
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils import colorstr

    class CircledDataset(YOLODataset):
        def build_transforms(self, hyp: Any) -> Any:
            transforms = super().build_transforms(hyp)
            if self.augment and options.circles:
                transforms.insert(len(transforms.transforms) - 1, CirclesTransform(options.seed))
            return transforms

    class Trainer(DetectionTrainer):
        def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> CircledDataset:
            return CircledDataset(
                img_path=img_path, imgsz=self.args.imgsz, batch_size=batch, augment=mode == "train", hyp=self.args,
                rect=mode == "val", cache=None, stride=32, pad=0.0 if mode == "train" else 0.5,
                prefix=colorstr(f"{mode}: "), task=self.args.task, classes=None, data=self.data, fraction=1.0,
            )  # fmt: skip

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> torch.nn.Module:
            model = super().get_model(cfg, None, verbose=False)
            if self.resume:
                model.load(weights)
            elif initial is not None:
                load_weights(model, initial)
                distances = model.model[-1].dfl.conv.weight  # scale_boxes changes them, the loss counts on these
                distances.data[:] = torch.arange(distances.numel()).view_as(distances)
            if _device() == "cpu":
                model = model.to(memory_format=torch.channels_last)  # a quarter less time in 16 bits
            if bfloat16:
                model.model[-1].register_forward_hook(_to_float32)  # box losses need more than 8 bits of precision
            return model

        def read_results_csv(self) -> dict[str, list]:
            return {}  # of the checkpoint; ultralytics reads it with polars, which nothing else needs

    trainer_module.check_amp = lambda _: True  # it downloads another network to try mixed precision with
    # twice as fast on CPUs that have it; ultralytics itself allows it on CUDA only
    bfloat16 = _device() == "cpu" and torch.cpu._is_avx512_bf16_supported()
    if bfloat16:
        trainer_module.autocast = lambda *_, **__: torch.autocast("cpu", torch.bfloat16)
    (folder / "data.yaml").write_text(
        yaml.safe_dump({"path": str(data), "train": "train.txt", "val": "val.txt", "names": {0: "head"}})
    )
    trainer = Trainer(
        overrides={
            "model": f"{options.architecture}.yaml", "data": str(folder / "data.yaml"), "epochs": options.epochs,
            "batch": options.batch_size, "imgsz": options.image_size, "seed": options.seed, "single_cls": True,
            "optimizer": "AdamW",
            "nbs": options.batch_size,  # by default gradients of several batches are added up, for fewer steps
            "lr0": options.learning_rate, "lrf": 0.02, "cos_lr": True,
            "warmup_epochs": min(1.0, options.epochs / 10), "warmup_bias_lr": 0.0,
            "close_mosaic": max(1, options.epochs // 4), "patience": 0, "hsv_h": 0.03, "translate": 0.1,
            "degrees": 0.0,  # it would draw a box around the turned box, larger than the head; scenes turn heads themselves
            "scale": 0.6, "mosaic": 0.7, "multi_scale": options.multi_scale, "time": options.minutes / 60 or None,
            "amp": _device() != "cpu", "device": _device(), "deterministic": _device() == "cpu",
            "workers": min(workers, os.cpu_count() or 1), "plots": False, "verbose": False, "pretrained": False,
            "project": str(folder), "name": "run", "exist_ok": True, "resume": str(last) if last.exists() else False,
        }
    )  # fmt: skip
    reported: set[int] = set()
    progress: dict[str, Iterator[int]] = {}

    def report_epoch(trainer: Any) -> None:
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        metrics = {name: float(losses[f"train/{theirs}"]) for theirs, name in LOSSES.items() if f"train/{theirs}" in losses}
        metrics |= {name: float(trainer.metrics.get(f"metrics/{theirs}", 0)) for theirs, name in METRICS.items()}
        # called once more at the end, with the best weights
        if trainer.epoch < trainer.epochs and trainer.epoch not in reported:
            reported.add(trainer.epoch)
            on_epoch(trainer.epoch + 1, metrics)

    def start_progress(trainer: Any) -> None:
        progress["batches"] = track(range(len(trainer.train_loader)), len(trainer.train_loader), "train", "batches")

    trainer.add_callback("on_fit_epoch_end", report_epoch)
    trainer.add_callback("on_train_epoch_start", start_progress)
    trainer.add_callback("on_train_batch_end", lambda _: next(progress["batches"], None))
    trainer.train()
    save_best(run, out, options.architecture)
    return out


class CirclesTransform:
    """random_circles as an ultralytics transform: labels hold a uint8 picture and its boxes."""

    def __init__(self, seed: int):
        self.seed = seed
        self.rng: np.random.Generator | None = None

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        if self.rng is None:  # created in the data loader's process: each has its own seed
            self.rng = np.random.default_rng([self.seed, torch.initial_seed() % 2**32])
        if self.rng.random() >= CIRCLED:
            return labels
        instances = labels["instances"]
        instances.convert_bbox("xyxy")
        height, width = labels["img"].shape[:2]
        instances.denormalize(width, height)
        labels["img"] = random_circles(labels["img"], instances.bboxes, self.rng)
        return labels


def build(architecture: str, weights: Path, folder: Path) -> torch.nn.Module:
    """The network with weights, in evaluation mode: float32 [n, 3, h, w] in 0 to 1 to [n, 5, anchors]: center x, y, width,
    height in pixels, confidence.

    weights: see load_weights. folder: where ultralytics may write its settings. Raises UserError where the weights don't fit.
    """
    prepare_ultralytics(folder)
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(f"{architecture}.yaml", nc=1, verbose=False)
    load_weights(model, weights)
    return model.eval()


def _to_float32(module: torch.nn.Module, inputs: Any, outputs: Any) -> Any:
    """A forward hook: all tensors in the nested outputs of the last layer, as float32."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return {name: _to_float32(module, inputs, value) for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_to_float32(module, inputs, value) for value in outputs)
    return outputs


def _device() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
