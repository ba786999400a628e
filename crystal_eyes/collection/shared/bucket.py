"""The objects below an address like s3://bucket/prefix."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from crystal_eyes.errors import UserError
from crystal_eyes.s3_errors import reason

ADDRESS = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<prefix>.*[^/])/*")
EXTRA = "pip install 'crystal-eyes[s3]'"
CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
MISSING = {"NoSuchKey", "404"}
SECONDS = {"connect_timeout": 5, "read_timeout": 60}


class ChangedError(Exception):
    """An object is not as it was when it was read last."""


class Object(NamedTuple):
    data: bytes
    tag: str  # changes with the content
    age: float  # seconds since it was written, by the server's clock


class Bucket:
    """Raises UserError where the storage can't be used, in all methods. Safe to use from several threads."""

    def __init__(self, address: str):
        """Raises UserError: not an address of this form, or boto3 is not installed."""
        parts = ADDRESS.fullmatch(address)
        if not parts:
            raise UserError(f"{address} is not the address of a collection: give s3://BUCKET/FOLDER")
        self.address, self._bucket, self._prefix = address.rstrip("/"), parts["bucket"], parts["prefix"]
        try:
            boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        except ImportError:
            raise UserError(f"{address} needs boto3, which is not installed: {EXTRA}") from None
        with self._said():
            options = config.Config(**SECONDS, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=16)
            self._client = boto3.Session().client("s3", config=options)  # the shared session would keep old credentials
            self.endpoint: str = self._client.meta.endpoint_url

    def get(self, name: str) -> Object | None:
        """An object; None: there is none."""
        with self._said(MISSING) as found:
            answer = self._client.get_object(**self._at(name))
            data = answer["Body"].read()
            now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            found.append(Object(data, answer["ETag"], _age(answer["LastModified"], now)))
        return found[0] if found else None

    def put(self, name: str, data: bytes, tag: str | None = "") -> str:
        """Write an object, and return its tag. tag: that it must have before, None: it must not exist. Raises ChangedError."""
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag} if tag else {}
        with self._said(CHANGED if condition else set()) as found:
            found.append(self._client.put_object(**self._at(name), Body=data, **condition)["ETag"])
        if not found:
            raise ChangedError
        return found[0]

    def names(self, folder: str = "", most: int | None = None) -> list[str]:
        """Of the objects below a folder. most: how many are enough."""
        found: list[str] = []
        start = f"{self._prefix}/"
        with self._said():
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=f"{start}{folder}"):
                found += [one["Key"].removeprefix(start) for one in page.get("Contents", [])]
                if most and len(found) >= most:
                    break
        return found

    def delete(self, name: str) -> None:
        with self._said():
            self._client.delete_object(**self._at(name))

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{name}"}

    @contextmanager
    def _said(self, expected: set[str] = frozenset()) -> Iterator[list[Any]]:  # type: ignore[assignment]
        """Context: errors of the storage as UserError. expected: codes of answers after which it just ends."""
        try:
            yield []
        except Exception as error:  # reason knows which ones are the client's
            if _code(error) in expected:
                return
            if (why := reason(error)) is None:
                raise
            raise UserError(f"{self.address}: {why}") from None


def _code(error: Exception) -> str:
    """The code of an answer, empty if the error is not one."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _age(written: datetime, now: str | None) -> float:
    then = parsedate_to_datetime(now) if now else datetime.now(written.tzinfo)
    return (then - written).total_seconds()
