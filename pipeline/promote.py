"""The Model Registry: a new bundle becomes the challenger, and the champion if it is not worse on the same heads."""

import base64
import json
from importlib import metadata

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Candidate, Head, LikelySeries, Reference
from crystal_eyes.recognizer.bundle import CARD, LISTING, Bundle, read_bundle
from crystal_eyes.recognizer.gallery import Gallery
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.stores import UnreachableError
from pipeline.cache.digests import digest_file
from pipeline.cache.key import ROOT
from pipeline.cache.locks import only_one_of_store
from pipeline.chain import ChainResult, Runner

NAME = "crystal-eyes"
DIGEST, RUN = "bundle", "bundle_run"  # tags of a version
MAX_DESCRIPTION = 5000  # characters: what a registry's database takes
SERVED_WITH = ("mlflow", "numpy", "onnxruntime", "pillow")


def promote(chained: ChainResult, run: Runner) -> str:
    """Register the bundle unless it is registered already, move the aliases, and return what was done and why, one line each.

    run: runs or reuses a step, here `evaluate` of the present champion.
    """
    waiting = "another main is updating the Model Registry: waiting for it"
    with only_one_of_store("promote", waiting, str(mlflow.get_registry_uri())):
        return _promote(chained, run)


def _promote(chained: ChainResult, run: Runner) -> str:
    client = MlflowClient()
    folder = local_path(chained.bundle.output("bundle"))
    digest = digest_file(folder / LISTING)
    version = _registered(client, digest) or _register(client, chained, digest)
    client.set_registered_model_alias(NAME, "challenger", version.version)
    lines = [f"{NAME} version {version.version} is the challenger"]
    champion = _champion(client)
    if champion is None:
        client.set_registered_model_alias(NAME, "champion", version.version)
        return "\n".join([*lines, f"{NAME} version {version.version} is the champion, because there was none"])
    if champion.version == version.version:
        return "\n".join([*lines, f"{NAME} version {version.version} is already the champion"])
    if reason := _unreadable(champion):
        client.set_registered_model_alias(NAME, "champion", version.version)
        why = f"version {champion.version} can no longer be used ({reason})"
        return "\n".join([*lines, f"{NAME} version {version.version} is the new champion: {why}"])
    evaluated = run("evaluate", {"bundle": _bundle_of(champion), "catalogue": chained.catalogue})
    now = _champion(client)
    if now is None or now.version != champion.version:  # moved by a machine that shares no lock with this one: over HTTP
        return _promote(chained, run)
    mine, theirs = chained.evaluation.finished.data.metrics, evaluated.finished.data.metrics
    figures = f"top-5 is {mine['top_5']:.4f}, that of version {champion.version} is {theirs['top_5']:.4f} on the same heads"
    if mine["top_5"] >= theirs["top_5"]:
        client.set_registered_model_alias(NAME, "champion", version.version)
        lines.append(f"{NAME} version {version.version} is the new champion: its {figures}")
    else:
        lines.append(f"{NAME} version {champion.version} remains the champion: the challenger's {figures}")
    return "\n".join(lines)


def _champion(client: MlflowClient) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(NAME, "champion")
    except MlflowException:
        return None


def _bundle_of(version: ModelVersion) -> str:
    """The bundle that a version was registered from, which may have been evaluated already, or else the registry's copy."""
    source = f"runs:/{version.tags.get(RUN, '')}/bundle"
    try:
        if digest_file(local_path(source) / LISTING) == version.tags.get(DIGEST):
            return source
    except UserError:  # deleted since
        pass
    return f"models:/{NAME}/{version.version}"


def _unreadable(version: ModelVersion) -> str:
    """Why a version's bundle can't be read (an older format, deleted, damaged); empty if it can."""
    try:
        read_bundle(bundle_folder(f"models:/{NAME}/{version.version}"))
    except UnreachableError:  # which says nothing about the bundle
        raise
    except UserError as error:
        return str(error)
    return ""


def _registered(client: MlflowClient, digest: str) -> ModelVersion | None:
    found = client.search_model_versions(f"name = '{NAME}' and tags.{DIGEST} = '{digest}'")
    return max(found, key=lambda version: int(version.version), default=None)


def _register(client: MlflowClient, chained: ChainResult, digest: str) -> ModelVersion:
    """Log the bundle as a model that MLflow can serve, and register it."""
    bundle = read_bundle(local_path(chained.bundle.output("bundle")))
    example = pd.DataFrame({"picture": [base64.b64encode(_picture(bundle)).decode()]})
    # the shape of an answer; its numbers mean nothing
    candidate, reference = Candidate("name", "series", 1.0), Reference("name", "series", 1.0, b"")
    head = Head((0.0, 0.0, 1.0, 1.0), 1.0, True, False, (candidate,), (reference,), 0.0, 1.0, 1.0, LikelySeries("name", 1.0))
    answer = json.loads(json.dumps([{"heads": [head.as_dict()], "error": ""}]))
    info = mlflow.pyfunc.log_model(
        name=NAME,
        python_model=str(ROOT / "pipeline" / "served_model.py"),
        artifacts={"bundle": str(bundle.folder)},
        code_paths=[str(ROOT / "crystal_eyes")],
        signature=infer_signature(example, answer),
        input_example=example,
        pip_requirements=[f"{package}=={metadata.version(package)}" for package in SERVED_WITH],
        registered_model_name=NAME,
    )
    version = client.get_model_version(NAME, str(info.registered_model_version))
    client.set_model_version_tag(NAME, version.version, DIGEST, digest)
    client.set_model_version_tag(NAME, version.version, RUN, chained.bundle.finished.info.run_id)
    card = (bundle.folder / CARD).read_text("utf-8")
    client.update_model_version(NAME, version.version, description=shortened(card))
    return version


def shortened(card: str) -> str:
    """The whole sections of a model card that fit into a description."""
    return card if len(card) <= MAX_DESCRIPTION else card[: card.rindex("\n## ", 0, MAX_DESCRIPTION)]


def _picture(bundle: Bundle) -> bytes:
    """A picture that shows how the model is called: a reference head, or if it has no pictures an example of the page."""
    thumbnail = Gallery([bundle.folder]).thumbnail(0)
    return thumbnail or min((ROOT / "crystal_eyes" / "web" / "examples").glob("*.webp")).read_bytes()
