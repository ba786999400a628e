"""Classifiers that name an embedding, all behind one small interface: fit, top_k, save, load."""

from pathlib import Path

from crystal_eyes.classifiers.base import Classifier
from pipeline.parameters.steps import Classify

LINEAR = ("perceptron", "lda", "ridge", "logistic_regression")

# Imported where one is asked for: scikit-learn's and skops' import alone costs four seconds.


def create(config: Classify) -> Classifier:
    """The classifier that a configuration asks for, not fitted yet."""
    if config.classifier in ("perceptron", "tip_adapter"):
        from crystal_eyes.classifiers.perceptron import Perceptron
        from crystal_eyes.classifiers.tip_adapter import TipAdapter

        perceptron = Perceptron(config.perceptron_epochs, config.perceptron_learning_rate, config.seed)
        if config.classifier == "perceptron":
            return perceptron
        return TipAdapter(perceptron, config.tip_adapter_alpha, config.tip_adapter_beta)
    if config.classifier == "faiss":
        from crystal_eyes.classifiers.neighbors import FaissNeighbours

        return FaissNeighbours(config.faiss_neighbors)
    if config.classifier == "lda":
        from crystal_eyes.classifiers.lda import Lda

        return Lda()
    if config.classifier in LINEAR:
        from crystal_eyes.classifiers.scikit_linear import ScikitLinear, model

        return ScikitLinear(model(config))
    from crystal_eyes.classifiers.scikit_learn import ScikitLearn

    return ScikitLearn.create(config)


def load(name: str, folder: Path) -> Classifier:
    """A classifier saved before; name as in the configuration."""
    if name in LINEAR:
        from crystal_eyes.classifiers.linear import Linear as kind
    elif name == "tip_adapter":
        from crystal_eyes.classifiers.tip_adapter import TipAdapter as kind
    elif name == "faiss":
        from crystal_eyes.classifiers.neighbors import FaissNeighbours as kind
    else:
        from crystal_eyes.classifiers.scikit_learn import ScikitLearn as kind
    return kind.load(folder)
