"""Whether an MLflow store can be reached, known within seconds: MLflow itself retries for minutes before it says so."""

import http.client
import os
import socket
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path

SECONDS = 5.0  # for a server to answer at all
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}  # MLflow's own: 7 retries, 120 s
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
CHOSEN = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT")  # by the user, before limit_patience
REMEDY = "start it, or set MLFLOW_TRACKING_URI to another store"


class UnreachableError(UserError):
    """The store can't be reached at present, which says nothing about what it contains."""


def limit_patience() -> None:
    """Let MLflow's requests in this process fail after seconds rather than minutes, unless the user chose otherwise."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)


@cache
def require_store(uri: str) -> None:
    """Raise UnreachableError if the tracking store or registry at this URI is down; one answer is remembered."""
    parts = urlsplit(uri)
    kind = parts.scheme.split("+")[0].lower()
    if kind in ("http", "https"):
        _require_answer(uri)
    elif kind in PORTS and parts.hostname:
        try:
            socket.create_connection((parts.hostname, parts.port or PORTS[kind]), _seconds()).close()
        except OSError as error:
            raise _unreachable(f"the database {kind} on {parts.hostname}", error) from None
    elif kind == "sqlite" and (database := uri.partition(":///")[2].partition("?")[0]):  # not escaped, unlike in other URIs
        _require_path(uri, Path(database))
    elif kind == "file" or (not kind and "/" in uri):
        _require_path(uri, plain_path(uri))


def _require_path(uri: str, path: Path) -> None:
    if not path.exists():
        raise UnreachableError(
            f"the MLflow store {uri} does not exist (there is no {path}): set MLFLOW_TRACKING_URI to where the store is now"
        )


def _require_answer(uri: str) -> None:
    """Any answer is good enough: a server behind a login refuses this request."""
    without_login = uri.replace(urlsplit(uri).netloc, urlsplit(uri).netloc.rpartition("@")[2])
    try:
        # an opener of its own: the shared one keeps the proxies that were set when it was first used
        opener = urllib.request.build_opener()
        opener.open(f"{without_login.rstrip('/')}/health", timeout=_seconds()).close()
    except (urllib.error.HTTPError, http.client.HTTPException, ValueError):
        return
    except urllib.error.URLError as error:
        # what else can go wrong (certificates, proxies) MLflow is configured for, and this request is not
        if isinstance(error.reason, (ConnectionError, TimeoutError, socket.gaierror)):
            raise _unreachable(f"the MLflow server {without_login}", error.reason) from None
    except OSError as error:
        raise _unreachable(f"the MLflow server {without_login}", error) from None


def _unreachable(what: str, error: OSError) -> UnreachableError:
    if isinstance(error, TimeoutError):
        return UnreachableError(f"{what} does not answer within {_seconds():g} seconds: {REMEDY}")
    return UnreachableError(f"{what} can't be reached ({error.strerror or error}): {REMEDY}")


def _seconds() -> float:
    """The user's own limit, if it is a longer one."""
    try:
        return max(SECONDS, float(CHOSEN or 0))
    except ValueError:
        return SECONDS
