import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystal_eyes.errors import UserError
from pipeline.parameters.declare import inputs, names_files, parameter, parse, values
from pipeline.parameters.steps import STEPS, Classify, Export, Prepare, Train


@dataclasses.dataclass(frozen=True)
class Example:
    """An example."""

    count: int = parameter(3, "how many, at most 100 % of them", low=-1, high=10)
    rate: float = parameter(0.5, "how fast", low=0.0, high=1.0)
    free: float = parameter(1.0, "no upper bound", low=0.0)
    shout: bool = parameter(False, "whether to shout")
    colour: str = parameter("red", "which colour", choices=("red", "green"))
    source: str = parameter("", "where it comes from", input="files")
    weights: str = parameter("none", "a word or a file", input="files", choices=("none",))
    dataset: str = parameter("", "may stay empty", input="dataset", optional=True)


def fails(remedy: str, *arguments: str) -> None:
    with pytest.raises(UserError, match=remedy) as caught:
        parse(Example, arguments)
    assert "\n" not in str(caught.value)


def test_without_arguments_there_are_the_defaults():
    assert parse(Example, []) == Example()


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("count", "5", 5), ("count", "5.0", 5), ("count", " 7 ", 7), ("count", "-1", -1), ("count", "1e1", 10),
        ("rate", "0.10", 0.1), ("rate", "1", 1.0), ("rate", "1e-3", 0.001), ("free", "1e30", 1e30),
        ("shout", "True", True), ("shout", "false", False), ("shout", "1", True), ("shout", "off", False),
        ("colour", "green", "green"), ("colour", " green ", "green"),
        ("source", "a folder/with = signs", "a folder/with = signs"), ("source", "", ""), ("source", "runs:/1/x", "runs:/1/x"),
    ],
)  # fmt: skip
def test_text_becomes_the_fields_type(name, text, value):
    for arguments in ([f"--{name}", text], [f"--{name}={text}"]):
        found = getattr(parse(Example, arguments), name)
        assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "name, text, remedy",
    [
        ("count", "five", "count=five: give a whole number"), ("count", "5.5", "give a whole number"),
        ("count", "", "give a whole number"), ("count", "inf", "whole number"), ("count", "1e999", "whole number"),
        ("count", "11", "count=11: out of range, give from -1 to 10"), ("count", "-2", "out of range"),
        ("rate", "fast", "rate=fast: give a number"), ("rate", "nan", "out of range"), ("rate", "inf", "out of range"),
        ("rate", "1.01", "from 0.0 to 1.0"), ("free", "-1", "give at least 0.0"),
        ("shout", "perhaps", "say true or false"), ("colour", "blue", "choose one of red, green"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_to_give(name, text, remedy):
    fails(remedy, f"--{name}={text}")


@pytest.mark.parametrize(
    "arguments, remedy",
    [
        (["--cuont", "3"], "unknown parameter cuont: did you mean count"),
        (["--cuont=3"], "unknown parameter cuont: did you mean count"),
        (["--zzzz", "3"], "unknown parameter zzzz: there are count, rate"),
        (["--coun", "3"], "did you mean count"),  # no abbreviations: they break when a parameter is added
        (["stray"], "unknown parameter stray"),
        (["--count"], "count"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest(arguments, remedy):
    fails(remedy, *arguments)


@given(st.integers(-1, 10), st.floats(0, 1), st.booleans())
def test_every_value_survives_being_text(count, rate, shout):
    config = Example(count=count, rate=rate, shout=shout)
    assert parse(Example, [f"--{name}={value}" for name, value in dataclasses.asdict(config).items()]) == config


@pytest.mark.parametrize("config", [Example, *STEPS.values()])
def test_every_default_is_allowed_and_survives_being_text(config):
    arguments = [f"--{name}={value}" for name, value in dataclasses.asdict(config()).items()]
    assert parse(config, arguments) == config()


@pytest.mark.parametrize("config", [Example, *STEPS.values()])
def test_help_names_every_parameter(config, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(config, ["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0 and all(f"--{field.name} " in text for field in dataclasses.fields(config))


@pytest.mark.parametrize("config", STEPS.values())
def test_a_configuration_can_not_be_changed(config):
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().seed = 5


def test_inputs_and_values_are_kept_apart():
    assert inputs(Example(source="x")) == {"source": "x", "weights": "none", "dataset": ""}
    assert values(Example()) == {"count": 3, "rate": 0.5, "free": 1.0, "shout": False, "colour": "red"}
    assert set(inputs(Train())) == {"catalogue", "weights"} and set(inputs(Prepare())) == {"dataset"}
    for config in STEPS.values():
        assert set(inputs(config())) | set(values(config())) == {field.name for field in dataclasses.fields(config)}


def test_an_input_that_is_needed_but_empty_is_asked_for():
    with pytest.raises(UserError, match="parameter source is needed: where it comes from"):
        names_files(Example(), "source")
    assert names_files(Example(source="x"), "source")
    assert not names_files(Example(), "weights") and names_files(Example(weights="w.pth"), "weights")
    assert not names_files(Example(), "dataset") and names_files(Example(dataset="x"), "dataset")
    with pytest.raises(UserError, match="parameter onnx is needed|parameter encoder is needed"):
        names_files(Export(), "encoder")


def test_an_unknown_classifier_lists_those_there_are():
    with pytest.raises(UserError, match="choose one of perceptron, faiss, lda, ridge"):
        parse(Classify, ["--classifier", "svm"])
