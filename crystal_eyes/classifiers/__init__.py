"""Classifiers that name an embedding, all behind one small interface: fit, top_k, save, load."""

from pathlib import Path

from crystal_eyes.classifiers.base import Classifier
from crystal_eyes.classifiers.neighbours import FaissNeighbours
from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.classifiers.scikit_learn import ScikitLearn
from crystal_eyes.config import Classify


def create(config: Classify) -> Classifier:
    """The classifier that a configuration asks for, not fitted yet."""
    if config.classifier == "perceptron":
        return Perceptron(config.perceptron_epochs, config.perceptron_learning_rate, config.seed)
    if config.classifier == "faiss":
        return FaissNeighbours(config.faiss_neighbors)
    return ScikitLearn.create(config)


def load(name: str, folder: Path) -> Classifier:
    """A classifier saved before; name as in the configuration."""
    kind = {"perceptron": Perceptron, "faiss": FaissNeighbours}.get(name, ScikitLearn)
    return kind.load(folder)
