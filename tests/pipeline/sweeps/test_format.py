"""W&B's sweep files: what is read, and that nothing is silently ignored."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from crystal_eyes.errors import UserError
from pipeline.sweeps.format import read

DROP_RATES = Path(__file__).resolve().parents[3] / "sweeps" / "drop_rates.yaml"
GOOD = {
    "program": "steps/train.py",
    "method": "bayes",
    "metric": {"name": "map_at_r", "goal": "maximize"},
    "parameters": {"drop_rate": {"min": 0.0, "max": 0.5}},
}


@pytest.fixture
def file(tmp_path):
    def write(**changes) -> Path:
        content = {key: value for key, value in (GOOD | changes).items() if value is not None}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return tmp_path / "sweep.yaml"

    return write


def test_the_sweep_file_of_the_project():
    found = read(DROP_RATES)
    assert (found.method, found.metric, found.maximize) == ("bayes", "map_at_r", True)
    assert found.space == {name: FloatDistribution(0.0, 0.5) for name in ("drop_rate", "drop_connect_rate")}
    assert (found.first_epochs, found.one_in, found.fixed) == (3, 3, {})


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("drop_rate", {"min": 0.0, "max": 0.5}, FloatDistribution(0.0, 0.5)),
        ("drop_rate", {"distribution": "uniform", "min": 0, "max": 0.5}, FloatDistribution(0.0, 0.5)),
        ("drop_rate", {"distribution": "q_uniform", "min": 0.1, "max": 0.55, "q": 0.1}, FloatDistribution(0.1, 0.5, step=0.1)),
        ("learning_rate", {"distribution": "log_uniform_values", "min": 1e-4, "max": 0.1},
         FloatDistribution(1e-4, 0.1, log=True)),
        ("learning_rate", {"distribution": "log_uniform", "min": -9, "max": -2},
         FloatDistribution(math.exp(-9), math.exp(-2), log=True)),
        ("batch_size", {"min": 16, "max": 64}, IntDistribution(16, 64)),
        ("epochs", {"distribution": "int_uniform", "min": 1, "max": 9}, IntDistribution(1, 9)),
        ("batch_size", {"values": [16, 32]}, CategoricalDistribution([16, 32])),
        ("backbone", {"distribution": "categorical", "values": ["mixnet_s", "mixnet_m"]},
         CategoricalDistribution(["mixnet_s", "mixnet_m"])),
    ],
)  # fmt: skip
def test_ranges_and_choices(file, name, parameter, expected):
    assert read(file(parameters={name: parameter})).space == {name: expected}


def test_a_parameter_with_one_value_is_fixed(file):
    found = read(file(parameters={**GOOD["parameters"], "epochs": {"value": 3}, "batch_size": {"values": [16]}}))
    assert found.fixed == {"epochs": 3, "batch_size": 16} and list(found.space) == ["drop_rate"]


def test_a_command_may_give_parameters_to_every_trial(file):
    found = read(file(command=["${env}", "${interpreter}", "${program}", "--epochs=2", "--wandb=online", "${args}"]))
    assert found.fixed == {"epochs": 2}


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (None, (0, 3)),
        ({"type": "hyperband", "min_iter": 3}, (3, 3)),
        ({"type": "hyperband", "min_iter": 2, "eta": 4}, (2, 4)),
        ({"type": "hyperband", "max_iter": 27, "s": 2}, (3, 3)),
    ],
)
def test_early_termination(file, stop, expected):
    found = read(file(early_terminate=stop))
    assert (found.first_epochs, found.one_in) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "annealing"}, "method: 'annealing' is not one of"),
        ({"method": "custom"}, "method custom is not supported here; choose one of bayes, random, grid"),
        ({"method": None}, "'method' is a required property"),
        ({"metric": None}, "metric is missing"),
        ({"parameters": None}, "parameters is missing"),
        ({"parameters": [1]}, "parameters: "),
        ({"parameters": "x"}, "parameters: "),
        ({"parameters": {"recipe": {"values": ["best", "2020"]}}}, "recipe can't be searched, because .*; give it one value"),
        ({"parameters": {"seed": {"min": 0, "max": 9}}}, "seed can't be searched, because .*; give it one value"),
        ({"parameters": {"backbone": {"min": 1, "max": 3}}}, "backbone is text; give values"),
        ({"parameters": {"learning_rate": {"distribution": "log_uniform", "min": -1, "max": 1000}}}, "range"),
        ({"parameters": {"drop_rate": {"min": 0.5, "max": 0.5}}}, "drop_rate: min 0.5 must be below max 0.5"),
        ({"parameters": {"drop_rate": {"values": []}}}, "parameter drop_rate: .* has none of the forms"),
        ({"parameters": {"drop_rate": {"min": 0.0}}}, "parameter drop_rate: .* has none of the forms"),
        ({"parameters": {"drop_rate": {"value": 0.1}}}, "nothing to search"),
        ({"parameters": {"drop_rat": {"min": 0.0, "max": 0.5}}}, "train has no parameter drop_rat that"),
        ({"parameters": {"drop_rate": {"min": 0.0, "max": 5.0}}}, "drop_rate=5.0: out of range"),
        ({"parameters": {"recipe": {"values": ["best", "worst"]}}}, "recipe=worst: choose one of"),
        ({"parameters": {"catalogue": {"values": ["a", "b"]}}}, "train has no parameter catalogue that"),
        ({"parameters": {"drop_rate": {"distribution": "normal", "mu": 0.2}}}, "drop_rate: normal is not supported here"),
        ({"parameters": {"drop_rate": {"values": [0.1, 0.2], "probabilities": [0.5, 0.5]}}}, "drop_rate: .* is not supported"),
        ({"parameters": {"drop_rate": {"parameters": {"a": {"value": 1}}}}}, "drop_rate: .* is not supported here"),
        ({"parameters": {"batch_size": {"min": 8.0, "max": 64.0}}}, "batch_size does not take uniform"),
        ({"method": "grid"}, "drop_rate: method grid needs values"),
        ({"metric": {"name": "map_at_r", "target": 0.9}}, "key metric.target is not supported here"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 2, "strict": True}}, "early_terminate.strict is not supported"),
        ({"early_terminate": {"type": "envelope"}}, "early_terminate"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 1.5}}, "eta 1.5 is not supported here"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 2, "eta": float("inf")}}, "infinity"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 2, "max_iter": 9, "s": 2}}, "give either min_iter"),
        ({"program": "other.py"}, "program other.py is not supported here"),
        ({"command": ["python", "other.py"]}, "command: python is not supported here"),
        ({"command": ["${env}", "${args}"]}, "command must start"),
        ({"command": ["${program}", "--epochs=2"]}, r"command: \$\{args\} is missing"),
        ({"command": ["${program}", "--drop_rate=0.2", "${args}"]}, "drop_rate is also given in command"),
        ({"command": ["${program}", "--dropout=2"]}, "command: --dropout=2 is not supported here"),
        ({"entity": "me"}, "key entity is not supported here; remove it"),
        ({"nonsense": 1}, "key nonsense is not supported here"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(file, changes, message):
    with pytest.raises(UserError, match=f"sweep.yaml: .*{message}"):
        read(file(**changes))


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is not YAML"), ("- 1", "is not a sweep file"), ("", "is not a sweep file")]
)
def test_a_file_that_is_not_a_sweep(tmp_path, text, message):
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "sweep.yaml")


def test_a_missing_file(tmp_path):
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match="picture.yaml is not a text file in UTF-8: give a sweep file in YAML"):
        read(tmp_path / "picture.yaml")
    with pytest.raises(UserError, match="none.yaml can't be read"):
        read(tmp_path / "none.yaml")


KEYS = st.sampled_from(["min", "max", "q", "value", "values", "distribution", "mu", "probabilities"])
KINDS = st.sampled_from(["uniform", "q_uniform", "normal", "beta", "log_uniform", "q_log_uniform"])
NUMBERS = st.one_of(st.floats(-2, 2), st.integers(-2, 9))


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, st.one_of(NUMBERS, KINDS, st.text(max_size=4), st.lists(NUMBERS, max_size=3))))
def test_any_parameter_is_read_or_refused_in_one_line(tmp_path, parameter):
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "parameters": {"drop_rate": parameter, "weight_decay": {"min": 0.1, "max": 0.2}}}))
    try:
        read(path)
    except UserError as error:
        assert "\n" not in str(error)
