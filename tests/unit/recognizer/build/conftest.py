import numpy as np
import pytest

from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.unlikeness import Unlikeness
from tests.unit.recognizer.build.made_up import heads


@pytest.fixture(scope="session")
def known() -> KnownCharacters:
    some = heads(0, 10, 12, seed=1)
    perceptron = Perceptron(Perceptron.Options(epochs=30), 0)
    perceptron.fit(some.embeddings, np.unique(some.characters, return_inverse=True)[1])
    return KnownCharacters(perceptron, some.embeddings, some.characters, 3)


@pytest.fixture(scope="session")
def unlikeness(known) -> Unlikeness:
    return Unlikeness.fit(("probability", "mean"), known.evidence(heads(0, 10, 6, seed=2).of_kind("colour")))
