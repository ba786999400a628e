"""Whether an MLflow store can be reached, known within seconds: MLflow itself retries for minutes before it says so."""

import http.client
import importlib
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from crystal_eyes import s3_errors
from crystal_eyes.errors import UserError, said
from crystal_eyes.paths import plain_path

SECONDS = 5.0  # for a server to answer at all
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}  # MLflow's own: 7 retries, 120 s
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
CHOSEN = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT")  # by the user, before limit_patience
REMEDY = "start it, or set MLFLOW_TRACKING_URI to another store"
PACKAGE_REMEDY = "pip install 'crystal-eyes[fleet]'"
S3_ENDPOINTS = ("MLFLOW_S3_ENDPOINT_URL", *s3_errors.ENDPOINTS)  # as MLflow reads them
SECRETS = (  # in scheme://user:password@host, and among a URI's options
    (re.compile(r"(://[^\s/:@]*:)\S+(?=@)"), r"\1***"),
    (re.compile(r"(?i)\b((?:ssl)?password=)[^&\s'\"]+"), r"\1***"),
)


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
    if is_postgresql(uri):
        with login(uri):
            pass
    elif kind == "sqlite" and (database := uri.partition(":///")[2].partition("?")[0]):
        _require_path(uri, Path(unquote(database)))  # as SQLAlchemy does
    elif kind == "file" or (not kind and "/" in uri):
        _require_path(uri, plain_path(uri))


def masked(text: str) -> str:
    """The text with *** instead of the passwords of its URIs."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def is_postgresql(uri: str) -> bool:
    return re.match(r"postgresql(\+\w+)?://", uri, re.IGNORECASE) is not None


@contextmanager
def login(uri: str) -> Iterator[Any]:
    """A session of a database (sqlalchemy.Connection), which ends with the context. Raises UnreachableError after one try.

    By itself, MLflow tries ten times, for 100 seconds. SQLAlchemy comes with MLflow, and is imported by name as MLflow is.
    """
    try:
        sqlalchemy = importlib.import_module("sqlalchemy")
        # nothing is undone at the end: there is no transaction, and the connection may be broken by then
        engine = sqlalchemy.create_engine(
            uri,
            poolclass=sqlalchemy.NullPool,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            connect_args={"connect_timeout": int(_seconds())},
        )
        connection = engine.connect()
    except ImportError as error:  # most often of the driver
        remedy = "install it, or let the address begin with postgresql+psycopg:// (pip install 'psycopg[binary]')"
        raise UnreachableError(f"the database {masked(uri)} needs the package {error.name}: {remedy}") from None
    except (sqlalchemy.exc.SQLAlchemyError, ValueError) as error:
        remedy = "check MLFLOW_TRACKING_URI, and the password in PGPASSWORD or ~/.pgpass"
        raise UnreachableError(f"the database {masked(uri)} can't be used ({_said(error)}): {remedy}") from None
    with connection:
        yield connection


def unusable(error: BaseException | None) -> str | None:
    """The line for an error of a database or of S3, raised by whichever library talks to it, with a remedy; else None."""
    while error is not None:
        library, kinds = type(error).__module__.split(".")[0], {kind.__name__ for kind in type(error).__mro__}
        # others, such as a violated constraint, are bugs
        if library in ("sqlalchemy", "psycopg", "psycopg2") and kinds & {"OperationalError", "InterfaceError"}:
            return f"the database does not answer or refused ({_said(error)}): start it or check its login"
        if why := s3_errors.reason(error, S3_ENDPOINTS):
            return f"the artifact store can't be used: {why}"
        if isinstance(error, ImportError) and error.name in ("boto3", "botocore"):
            return f"an artifact store in S3 needs the package {error.name}: {PACKAGE_REMEDY}"
        error = error.__cause__ or error.__context__
    return None


def _said(error: BaseException) -> str:
    """What a database or a store says, in one line without passwords."""
    return masked(said(getattr(error, "orig", None) or error).removeprefix("connection failed: "))


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
    return UnreachableError(f"{what} can't be reached ({said(error)}): {REMEDY}")


def _seconds() -> float:
    """The user's own limit, if it is a longer one."""
    try:
        return max(SECONDS, float(CHOSEN or 0))
    except ValueError:
        return SECONDS
