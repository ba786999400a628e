"""How text becomes typed parameters, and the messages for mistakes."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystal_eyes.encoder.options import Processes
from crystal_eyes.errors import UserError
from pipeline.parameters.declare import as_text, inputs, merged_fields, names_files, parameter, parse, values
from pipeline.parameters.entry_points import MAIN, SWEEP, Main, Sweep
from pipeline.parameters.steps import STEPS, Classify, Export, Prepare, Train


@dataclasses.dataclass(frozen=True)
class Example:
    """An example."""

    count: int = parameter(3, "how many, at most 100 % of them", low=-1, high=10)
    rate: float = parameter(0.5, "how fast", low=0.0, high=1.0)
    free: float = parameter(1.0, "no upper bound", low=0.0)
    shout: bool = parameter(False, "whether to shout")
    color: str = parameter("red", "which color", choices=("red", "green"))
    size: int | None = parameter(None, "may be empty", low=1)
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
        ("color", "green", "green"), ("color", " green ", "green"),
        ("size", "5", 5), ("size", "", None), ("size", " ", None),
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
        ("size", "0", "size=0: out of range, give at least 1"), ("size", "x", "whole number"),
        ("shout", "perhaps", "give true or false"), ("color", "blue", "choose one of red, green"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_to_give(name, text, remedy):
    fails(remedy, f"--{name}={text}")


@pytest.mark.parametrize(
    "arguments, remedy",
    [
        (["--cuont", "3"], "unknown parameter cuont: did you mean count"),
        (["--cuont=3"], "unknown parameter cuont: did you mean count"),
        (["--zzzz", "3"], "unknown parameter zzzz: the parameters are count, rate"),
        (["--coun", "3"], "did you mean count"),  # no abbreviations: they break when a parameter is added
        (["stray"], "unknown parameter stray"),
        (["--count"], "count"),
    ],
)
def test_an_unknown_parameter_is_named_with_the_nearest(arguments, remedy):
    fails(remedy, *arguments)


@given(st.integers(-1, 10), st.floats(0, 1), st.booleans(), st.none() | st.integers(1))
def test_every_value_survives_being_text(count, rate, shout, size):
    config = Example(count=count, rate=rate, shout=shout, size=size)
    assert parse(Example, [f"--{name}={as_text(value)}" for name, value in dataclasses.asdict(config).items()]) == config


@pytest.mark.parametrize("config", [Example, *STEPS.values()])
def test_every_default_is_allowed_and_survives_being_text(config):
    arguments = [f"--{name}={as_text(value)}" for name, value in dataclasses.asdict(config()).items()]
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
    assert values(Example()) == {"count": 3, "rate": 0.5, "free": 1.0, "shout": False, "color": "red", "size": None}
    assert set(inputs(Train())) == {"catalogue", "weights"} and set(inputs(Prepare())) == {"dataset"}
    for config in STEPS.values():
        assert set(inputs(config())) | set(values(config())) == {field.name for field in dataclasses.fields(config)}


def test_an_input_that_is_needed_but_empty_is_asked_for():
    with pytest.raises(UserError, match="parameter source is required: where it comes from"):
        names_files(Example(), "source")
    assert names_files(Example(source="x"), "source")
    assert not names_files(Example(), "weights") and names_files(Example(weights="w.pth"), "weights")
    assert not names_files(Example(), "dataset") and names_files(Example(dataset="x"), "dataset")
    with pytest.raises(UserError, match="parameter encoder is required"):
        names_files(Export(), "encoder")


def test_an_unknown_classifier_lists_those_there_are():
    with pytest.raises(UserError, match="choose one of perceptron, faiss, lda, ridge"):
        parse(Classify, ["--classifier", "svm"])


@pytest.mark.parametrize("classes", [MAIN, SWEEP])
def test_parameters_of_two_steps_with_the_same_name_mean_the_same(classes):
    fields = merged_fields(classes)
    assert {"seed", "dataset"} <= fields.keys()


def test_parameters_that_share_a_name_and_differ_are_refused():
    @dataclasses.dataclass(frozen=True)
    class Other:
        count: int = parameter(4, "how many, at most 100 % of them", low=-1, high=10)

    with pytest.raises(ValueError, match="Example.count and Other.count are declared differently"):
        merged_fields([Example, Other])


def test_main_gives_each_step_its_own_parameters_and_shared_ones_to_all():
    main = Main.parse(["--epochs", "7", "--seed", "5", "--references", "2", "--plan", "true"])
    assert main.train == Train(epochs=7, seed=5) and main.prepare == Prepare(seed=5)
    assert main.bundle.references == 2 and main.distill.seed == 5 and main.options.plan
    sweep = Sweep.parse(["--trials", "3", "--drop_rate", "0.1"])
    assert sweep.options.trials == 3 and sweep.train == Train(drop_rate=0.1)
    with pytest.raises(UserError, match="unknown parameter catalogue"):
        Main.parse(["--catalogue", "x"])  # main makes it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "2"], "^processes need engine=torchrun: give it, or leave processes out$"),
        (["--engine", "torchrun", "--machines", "2"], "^several machines need rendezvous=HOST:PORT"),
        (["--engine", "torchrun", "--rendezvous", "localhost:29400"], "one machine needs none$"),
        (["--engine", "ray"], "^parameter engine=ray: choose one of local, torchrun$"),
    ],
)
@pytest.mark.parametrize("step", ["train", "distill"])
def test_a_contradictory_engine_is_refused(step, arguments, message):
    with pytest.raises(UserError, match=message):
        parse(STEPS[step], arguments).resolved()


@pytest.mark.parametrize("step", ["train", "distill"])
def test_how_many_processes_train_is_no_part_of_the_cache_key(step):
    alone, many = (parse(STEPS[step], given).resolved() for given in ([], ["--engine", "torchrun", "--processes", "8"]))
    assert alone.processes_options() is None and many.processes_options() == Processes(8)
    assert alone.key_values() == many.key_values()
