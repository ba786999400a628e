"""The step distill on the two encoders of a tiny run of main."""

import json
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts

from crystal_eyes.encoder.network import load_encoder
from tests.runs import TINY_MAIN, TINY_TRAINING


@pytest.fixture(scope="module")
def children(tiny_main) -> dict:
    return tiny_main.project.children(tiny_main.run_id)


@pytest.fixture(scope="module")
def inputs(children) -> dict[str, str]:
    """The inputs of distill in that run."""
    return {name: children["distill"].data.params[name] for name in ("catalogue", "encoder", "other")}


def refusal(tiny_main, parameters: dict) -> str:
    output = tiny_main.project.call("distill", {"distill_epochs": 1, **parameters}, code=1)
    assert "Traceback" not in output
    return output.strip().splitlines()[-1]


def test_main_distills_the_encoders_of_two_seeds(tiny_main, children, inputs):
    both = [f"runs:/{children[name].info.run_id}/encoder" for name in ("train", "train seed 1")]
    assert [inputs["encoder"], inputs["other"]] == both
    client, distill = tiny_main.project.client, children["distill"]
    assert [point.step for point in client.get_metric_history(distill.info.run_id, "loss")] == [1, 2]
    assert f"kept epoch {distill.data.metrics['best_epoch']:.0f}" in tiny_main.output
    made = [load_encoder(Path(children[name].info.artifact_uri.removeprefix("file://")) / "encoder")
            for name in ("train", "distill")]  # fmt: skip
    assert made[1].description.image_size == TINY_TRAINING["image_size"]
    assert made[1].description.training_catalogue == made[0].description.training_catalogue


def test_its_plan_reuses_both_trainings_and_the_distillation(tiny_main):
    asked = TINY_MAIN
    plan = {step: verdict for step, (verdict, _) in tiny_main.project.plan(asked).items()}
    assert {plan[step] for step in ("train", "train seed 1", "distill")} == {"reuse"}
    plan = {step: verdict for step, (verdict, _) in tiny_main.project.plan(asked | {"distill_epochs": 3}).items()}
    assert (plan["train"], plan["train seed 1"], plan["distill"]) == ("reuse", "reuse", "run")


def test_zero_epochs_are_refused(tiny_main, inputs):
    said = refusal(tiny_main, {**inputs, "recipe": "2020", "distill_epochs": ""})
    assert said == "distill: distill_epochs is 0 (recipe 2020), so there is nothing to do: give at least 1"


def test_an_encoder_is_not_distilled_with_itself(tiny_main, inputs):
    assert "are the same encoder" in refusal(tiny_main, {**inputs, "other": inputs["encoder"]})
    assert "other and third are the same encoder" in refusal(tiny_main, {**inputs, "third": inputs["other"]})


@pytest.mark.parametrize(
    ("change", "said"),
    [({"image_size": 48}, "see different image sizes"), ({"training_catalogue": "0"}, "was not trained on this catalogue")],
)
def test_an_unsuitable_encoder_is_refused(tiny_main, inputs, tmp_path, change, said):
    other = Path(download_artifacts(inputs["other"], dst_path=str(tmp_path), tracking_uri=tiny_main.tracking_uri))
    description = json.loads((other / "encoder.json").read_text())
    (other / "encoder.json").write_text(json.dumps(description | change))
    assert said in refusal(tiny_main, {**inputs, "other": other})
