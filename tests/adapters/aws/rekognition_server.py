"""A server that speaks Rekognition's protocol on this machine: AWS JSON 1.1 with SigV4 over HTTP.

Requests are checked against Amazon's own model, which botocore carries; so is its good answer.
What a real answer looks like: https://docs.aws.amazon.com/rekognition/latest/dg/labels-detect-labels-image.html.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import botocore.session
import pytest
from botocore.validate import ParamValidator

from lumitag.domain import Json

SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # the example of AWS's documentation

_MODEL: Final = botocore.session.get_session().get_service_model("rekognition").operation_model("DetectLabels")

CAR_INSTANCES: Final = [
    {"BoundingBox": {"Width": 0.05, "Height": 0.02, "Left": 0.61, "Top": 0.47}, "Confidence": 71.20012664794922},
    {"BoundingBox": {"Width": 0.109, "Height": 0.1, "Left": 0.925, "Top": 0.5}, "Confidence": 99.97612762451172},
]
ANSWER: Final[Json] = {
    "Labels": [
        {
            "Name": "Vehicle",
            "Confidence": 99.97612762451172,
            "Instances": [],
            "Parents": [{"Name": "Transportation"}],
            "Aliases": [],
            "Categories": [{"Name": "Vehicles and Automotive"}],
        },
        {
            "Name": "Metropolis",
            "Confidence": 81.25487518310547,
            "Instances": [],
            "Parents": [{"Name": "Urban"}, {"Name": "City"}],
            "Aliases": [],
            "Categories": [{"Name": "Buildings and Architecture"}],
        },
        {
            "Name": "Car",
            "Confidence": 99.97612762451172,
            "Instances": CAR_INSTANCES,
            "Parents": [{"Name": "Vehicle"}, {"Name": "Transportation"}],
            "Aliases": [{"Name": "Automobile"}],
            "Categories": [{"Name": "Vehicles and Automotive"}],
        },
    ],
    "LabelModelVersion": "3.0",
}

Turn = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class RekognitionServer:
    """What it was asked, and what it does next: the turns in their order, then always the same good answer."""

    url: str = ""
    requests: list[Json] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    answer: Json = field(default_factory=lambda: ANSWER)

    @contextmanager
    def running(self) -> Iterator[RekognitionServer]:
        """Serve until the block ends."""
        owner = self

        class Handler(_Handler):
            server_state = owner

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def answers(status: int, body: Json | bytes) -> Turn:
    """Return a turn that answers with a body, which need not be JSON."""

    def turn(handler: BaseHTTPRequestHandler) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/x-amz-json-1.1")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return turn


def refuses(code: str, status: int = 400) -> Turn:
    """Return a turn that answers with one of Amazon's errors."""
    return answers(status, {"__type": code, "Code": code, "Message": f"{code} for arn:aws:iam::123456789012:user/anna"})


def waits(seconds: float) -> Turn:
    """Return a turn that answers well, but late."""

    def turn(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answers(200, ANSWER)(handler)

    return turn


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


class _Handler(BaseHTTPRequestHandler):
    server_state: RekognitionServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        problem = _problem(self.headers, request)
        self.server_state.requests.append(request)
        if problem is not None:
            answers(400, {"__type": "SerializationException", "Message": problem})(self)
        elif self.server_state.turns:
            self.server_state.turns.pop(0)(self)
        else:
            answers(200, self.server_state.answer)(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing."""


def _problem(headers: Any, request: Json) -> str | None:
    """Return what Amazon would not understand in a request. Its `Image` comes back with the bytes decoded."""
    if headers["X-Amz-Target"] != "RekognitionService.DetectLabels":
        return f"target {headers['X-Amz-Target']}"
    if "/rekognition/aws4_request" not in headers["Authorization"]:
        return "signature"
    if "Bytes" in request["Image"]:
        request["Image"]["Bytes"] = base64.b64decode(request["Image"]["Bytes"], validate=True)
    report = ParamValidator().validate(request, _MODEL.input_shape)
    return report.generate_report() if report.has_errors() else _out_of_bounds(request)


def _out_of_bounds(request: Json) -> str | None:
    """Check what botocore leaves to the service: https://docs.aws.amazon.com/rekognition/latest/dg/limits.html."""
    content = request["Image"].get("Bytes", b"\xff\xd8")
    if len(content) > 5 * 1024 * 1024 or not content.startswith((b"\xff\xd8", b"\x89PNG\r\n")):
        return "image"
    return None if request["MinConfidence"] <= 100 and request["MaxLabels"] <= 1000 else "limits"


def use_aws(patch: pytest.MonkeyPatch, **variables: str) -> None:
    """Give this process AWS credentials that open nothing, a region and `variables`, and hide the user's own."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        patch.delenv(name)
    own = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_DEFAULT_REGION": "eu-west-1"}
    credentials = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
    for name, value in {**own, **credentials, "AWS_EC2_METADATA_DISABLED": "true", **variables}.items():
        patch.setenv(name, value)
