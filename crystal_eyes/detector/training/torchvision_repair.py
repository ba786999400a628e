"""Makes `import torchvision` work if its compiled operators don't fit the installed torch (a CUDA build with a CPU torch).

ultralytics imports torchvision, and its validator calls nms; nothing else in Crystal Eyes does.
"""

import importlib
import sys

import torch

from crystal_eyes.boxes import nms

_libraries: list[torch.library.Library] = []  # operators vanish when their library is garbage-collected


def repair() -> None:
    """Define torchvision's missing operator nms in torch; does nothing if torchvision can be imported."""
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
    _libraries.append(library)
    importlib.import_module("torchvision")
    for name in ("extension", "ops.boxes"):
        setattr(importlib.import_module(f"torchvision.{name}"), "_assert_has_ops", lambda: None)  # noqa: B010


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    kept = nms(boxes.detach().float().numpy(), scores.detach().float().numpy(), iou_threshold)
    return torch.from_numpy(kept)
