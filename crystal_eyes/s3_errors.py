"""What is wrong with storage in S3, in the same words whichever client met it: boto3, MLflow with boto3 inside, or pyarrow."""

import os
import re
from pathlib import Path

from crystal_eyes.errors import said

VARIABLES = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # the first one that is set counts
# where clients look for credentials; on a machine of Amazon's also at its own service, which the machine knows
SOURCES = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
           "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip
FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}

NO_BUCKET = "the bucket does not exist: create it, or correct the address"
NO_NAME = "no bucket can have this name: correct the address"
NO_CREDENTIALS = f"there are no credentials in the environment or in ~/.aws: set {VARIABLES}"
WRONG_CREDENTIALS = f"the storage does not accept the credentials: correct {VARIABLES}"
DENIED = f"access is denied: check the credentials ({VARIABLES}) and what they may do in this bucket"
ELSEWHERE = "the storage refuses the region: set AWS_DEFAULT_REGION to that of the bucket"
# the code of an answer, without its case and underscores, or the HTTP status of one without a code
ANSWERS = {
    "nosuchbucket": NO_BUCKET, "invalidbucketname": NO_NAME,
    "invalidaccesskeyid": WRONG_CREDENTIALS, "signaturedoesnotmatch": WRONG_CREDENTIALS, "expiredtoken": WRONG_CREDENTIALS,
    "invalidtoken": WRONG_CREDENTIALS,
    "accessdenied": DENIED, "403": DENIED,
    "permanentredirect": ELSEWHERE, "authorizationheadermalformed": ELSEWHERE, "301": ELSEWHERE, "400": ELSEWHERE,
}  # fmt: skip
# names of botocore's exceptions
CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
PYARROW = re.compile(r"AWS Error (?P<code>[A-Z_]+)(?: \(HTTP status (?P<status>\d+)\))?(?P<text>.*)")


def reason(error: BaseException, endpoints: tuple[str, ...] = ENDPOINTS) -> str | None:
    """What is wrong and what to do, in one line without the address; None: the error is not one of S3.

    endpoints: names of the environment variables that the client reads the server's address from.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ClientError" in kinds:
        answer = getattr(error, "response", {}).get("Error", {})
        return _answered(str(answer.get("Code", "")), said(error))
    if found := PYARROW.search(" ".join(str(error).split())):
        code = found["status"] if found["code"] == "UNKNOWN" and found["status"] else found["code"]
        if "NETWORK" in code or "curlCode" in found["text"]:
            return _unreachable(endpoints)
        return _answered(code, f"{code}{found['text']}"[:200])
    if "ProfileNotFound" in kinds:
        return f"there is no profile {os.environ.get('AWS_PROFILE', '')} in ~/.aws: correct AWS_PROFILE"
    if kinds & CREDENTIALS:
        return NO_CREDENTIALS
    if "ParamValidationError" in kinds:
        return NO_NAME
    if "BotoCoreError" in kinds or (isinstance(error, ValueError) and str(error).startswith("Invalid endpoint")):
        return _unreachable(endpoints)
    if type(error).__module__.split(".")[0] in ("boto3", "s3transfer") and not error.__context__:  # else that says more
        return _answered("", said(error))
    return None


def _answered(code: str, text: str) -> str:
    known = ANSWERS.get(code.replace("_", "").lower())
    if known == DENIED and not _credentials_given():  # pyarrow's client asks without any then
        return NO_CREDENTIALS
    return known or f"the storage does not do what was asked ({text}): run it again to go on"


def _credentials_given() -> bool:
    files = (Path(os.environ.get(name) or usual).expanduser() for name, usual in FILES.items())
    return any(os.environ.get(name) for name in SOURCES) or any(path.is_file() for path in files)


def _unreachable(endpoints: tuple[str, ...]) -> str:
    variable = next((name for name in endpoints if os.environ.get(name)), endpoints[-1])
    given = f" ({variable} is {os.environ[variable]})" if os.environ.get(variable) else ""
    return f"the storage can't be reached{given}: check {variable} and the network, and run it again to go on"
