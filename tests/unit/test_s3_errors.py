"""What can be wrong with storage in S3 is said in the same words by all three clients, asked of a real server on loopback."""

import os
import urllib.request
from collections.abc import Callable

import pytest

from crystal_eyes import s3_errors
from crystal_eyes.collection.shared.bucket import Bucket
from crystal_eyes.data import storage
from crystal_eyes.data.storage import Place
from crystal_eyes.errors import UserError
from crystal_eyes.stores import unusable

boto3 = pytest.importorskip("boto3")


def by_boto3(address: str) -> None:
    Bucket(address).get("picture.png")


def by_pyarrow(address: str) -> None:
    Place(address).read("picture.png")


def by_pyarrow_listing(address: str) -> None:
    Place(address).files()


def by_mlflow(address: str) -> None:
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository, _cached_get_s3_client

    _cached_get_s3_client.cache_clear()
    boto3.DEFAULT_SESSION = None  # it keeps the credentials that it has found first
    try:
        S3ArtifactRepository(address).list_artifacts()
    except Exception as error:
        line = unusable(error)
        if line is None:
            raise
        raise UserError(f"{address}: {line}") from None


EVERYTHING = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
              "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}  # fmt: skip
CLIENTS = [by_boto3, by_pyarrow, by_pyarrow_listing, by_mlflow]


@pytest.fixture(scope="module")
def server():
    """The address of a server with the bucket `heads`, and the key of a user who may do nothing."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    root = {"endpoint_url": address, "region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    s3, iam = boto3.client("s3", **root), boto3.client("iam", **root)
    s3.create_bucket(Bucket="heads")
    s3.put_object(Bucket="heads", Key="x/picture.png", Body=b"picture")
    iam.create_user(UserName="guest")
    key = iam.create_access_key(UserName="guest")["AccessKey"]
    yield address, key["AccessKeyId"], key["SecretAccessKey"]
    server.stop()


def checked(address: str, checks: bool) -> None:
    """Let the server check who asks from now on, or not."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    number, kind = b"0" if checks else b"1000000000", {"Content-Type": "text/plain"}
    direct.open(urllib.request.Request(f"{address}/moto-api/reset-auth", number, kind)).close()


@pytest.fixture
def line(server, monkeypatch, tmp_path):
    """line(client, address, **environment): the line of a user who asks for it, who may do everything unless said otherwise."""
    for name in os.environ:
        if name.startswith(("AWS_", "MLFLOW_S3_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(storage, "ATTEMPTS", 1)

    def ask(client: Callable[[str], None], address: str, **environment: str) -> str:
        for name, value in {**EVERYTHING, "AWS_ENDPOINT_URL": server[0], **environment}.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        storage._s3.cache_clear()
        with pytest.raises(UserError) as caught:
            client(address)
        text = str(caught.value)
        assert text.startswith(address) and "\n" not in text and "secret" not in text
        return text

    yield ask
    checked(server[0], False)
    storage._s3.cache_clear()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_bucket_that_does_not_exist(line, client):
    assert line(client, "s3://nowhere/x").endswith(s3_errors.NO_BUCKET)


@pytest.mark.parametrize("client", [by_boto3, by_mlflow, by_pyarrow])
def test_missing_credentials(line, server, client):
    checked(server[0], True)
    assert line(client, "s3://heads/x", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="").endswith(s3_errors.NO_CREDENTIALS)


# a request for one file is answered without a reason, as that for its size is
@pytest.mark.parametrize(("client", "said"), [*((one, s3_errors.WRONG_CREDENTIALS) for one in CLIENTS if one != by_pyarrow),
                                              (by_pyarrow, s3_errors.DENIED)])  # fmt: skip
def test_wrong_credentials(line, server, client, said):
    checked(server[0], True)
    assert line(client, "s3://heads/x", AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY="secret").endswith(said)
    assert line(client, "s3://heads/x", AWS_ACCESS_KEY_ID=server[1], AWS_SECRET_ACCESS_KEY="secret").endswith(said)


@pytest.mark.parametrize("client", CLIENTS)
def test_access_that_is_denied(line, server, client):
    checked(server[0], True)
    guest = {"AWS_ACCESS_KEY_ID": server[1], "AWS_SECRET_ACCESS_KEY": server[2]}
    assert line(client, "s3://heads/x", **guest).endswith(s3_errors.DENIED)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense"])
def test_a_server_that_cannot_be_reached(line, client, address):
    said = "check AWS_ENDPOINT_URL and the network, and run it again to go on"
    text = line(client, "s3://heads/x", AWS_ENDPOINT_URL=address)
    assert text.endswith(f"the storage can't be reached (AWS_ENDPOINT_URL is {address}): {said}")


def test_mlflows_own_variable_is_the_one_that_is_named(line):
    text = line(by_mlflow, "s3://heads/x", MLFLOW_S3_ENDPOINT_URL="http://127.0.0.1:9")
    assert "(MLFLOW_S3_ENDPOINT_URL is http://127.0.0.1:9): check MLFLOW_S3_ENDPOINT_URL" in text


def test_a_name_that_no_bucket_can_have_and_a_profile_that_does_not_exist(line):
    assert line(by_boto3, "s3://Not A Bucket/x").endswith(s3_errors.NO_NAME)
    nobody = {"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    for client in (by_boto3, by_mlflow):
        assert line(client, "s3://heads/x", **nobody).endswith("there is no profile nobody in ~/.aws: correct AWS_PROFILE")


def test_other_errors_are_not_called_those_of_s3():
    assert [s3_errors.reason(error) for error in (KeyError("x"), ValueError("bad"), OSError(2, "No such file"))] == [None] * 3
