"""Makes `import torchvision` work where its compiled half doesn't fit this torch (a CUDA build beside a CPU torch).

ultralytics imports torchvision, and its validator calls its nms; nothing else of ours does.
"""

import importlib
import sys

import torch

from crystal_eyes.boxes import nms


def repair() -> None:
    """Do nothing where torchvision imports; else put an nms of ours in the place of the missing operator."""
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    repair.library = library  # its operators go when it is collected
    importlib.import_module("torchvision")
    extension, boxes = (importlib.import_module(f"torchvision.{name}") for name in ("extension", "ops.boxes"))
    extension._assert_has_ops = boxes._assert_has_ops = lambda: None


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    kept = nms(boxes.detach().float().numpy(), scores.detach().float().numpy(), iou_threshold)
    return torch.from_numpy(kept)
