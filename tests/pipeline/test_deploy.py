"""The compose file, the Dockerfile and the files of MLflow's Kubernetes backend, as far as they can be checked without them."""

import json
import re

import pytest
import yaml
from mlflow.projects import _parse_kubernetes_config, _validate_execution_environment
from mlflow.projects._project_spec import load_project
from mlflow.projects.docker import validate_docker_env
from mlflow.projects.utils import get_entry_point_command

from tests.runs import ROOT

DEPLOY = ROOT / "deploy"


@pytest.fixture
def backend(monkeypatch) -> dict:
    monkeypatch.chdir(ROOT)  # where `mlflow run` is called, and what the template's path refers to
    return _parse_kubernetes_config(json.loads((DEPLOY / "kubernetes" / "backend.json").read_text("utf-8")))


def test_pods_run_the_same_entry_points():
    own, pods = (yaml.safe_load((folder / "MLproject").read_text("utf-8")) for folder in (ROOT, DEPLOY / "kubernetes"))
    assert pods["entry_points"] == own["entry_points"] and pods["name"] == own["name"]
    project = load_project(DEPLOY / "kubernetes")
    validate_docker_env(project)
    _validate_execution_environment(project, "kubernetes")
    assert get_entry_point_command(project, "main", {"recipe": "best"}, None) == ["python -m pipeline.main --recipe best"]


def test_the_job_has_what_mlflow_fills_in_and_runs_without_privileges(backend):
    job = backend["kube-job-template"]
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job") and job["metadata"]["namespace"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Never" and pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert str(pod["securityContext"]["runAsUser"]) in re.findall(r"^USER (\d+)$", dockerfile(), re.MULTILINE)


def test_the_job_fits_the_schema_of_kubernetes(backend):
    validator = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    job = backend["kube-job-template"]
    job["metadata"]["name"] = "crystal-eyes-2026-11-28"
    for version in ("1.28", "1.32"):
        validator.validate(job, version, strict=True)


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text("utf-8")


def test_images_have_the_projects_python_and_end_as_a_user_without_privileges():
    (version,) = re.findall(r"^ARG PYTHON=(.+)$", dockerfile(), re.MULTILINE)
    assert f"- python={version} " in (ROOT / "conda.yaml").read_text("utf-8")  # it is part of every cache key
    stages = re.split(r"^FROM .* AS ", dockerfile(), flags=re.MULTILINE)[1:]
    for stage in stages:
        if stage.split()[0] in ("serve", "mlflow", "pipeline"):
            assert "USER 10001" in stage.splitlines()
    for folder in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile(), re.MULTILINE):
        assert all((ROOT / name).exists() for name in folder.split())


def test_the_compose_file_pins_images_keeps_ports_local_and_holds_no_secret():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    example = dict(line.split("=") for line in (DEPLOY / "env.example").read_text("utf-8").splitlines() if line[:1].isupper())
    for name, service in services.items():
        assert "build" in service or re.search(r":\d+\.\d+", service["image"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for variable, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|KEY", variable):
                used = re.findall(r"\$\{(\w+)", value)
                assert used and set(used) <= example.keys() and not re.sub(r"\$\{[^}]*\}|[\",]", "", value)
    for variable, value in example.items():
        assert not value or variable == "AWS_ACCESS_KEY_ID"
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
