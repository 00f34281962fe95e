"""RekognitionRecognizer: what Amazon is asked, what its answers become, and what happens when it gives none."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest
from botocore import exceptions as aws
from botocore.stub import Stubber
from PIL import Image

from lumitag.adapters.aws import _clients
from lumitag.adapters.aws._clients import new_client
from lumitag.adapters.aws._rekognition_image import MAX_BYTES
from lumitag.adapters.aws.recognizer import (
    RekognitionImage,
    RekognitionRecognizer,
    build_rekognition_recognizer,
)
from lumitag.domain import BoundingBox, Instance, Json, Label, Recognition
from lumitag.errors import (
    ImageNotFound,
    ImageTooLarge,
    ImageTooSmall,
    InvalidSettings,
    LumitagError,
    NotAnImage,
    RecognitionFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    UnreadableImage,
)
from lumitag.recognition.decode import DecodeLimits, thumbnail
from lumitag.recognition.taxonomy import Concept, ids_by_word
from tests.adapters.aws.rekognition_server import (
    ANSWER,
    SECRET,
    RekognitionServer,
    Turn,
    answers,
    hangs_up,
    refuses,
    use_aws,
    waits,
)
from tests.recognition.pictures import corners, exif_with, file_of, noise, quadrants

VEHICLES: Final = ("Vehicles and Automotive",)
BUILDINGS: Final = ("Buildings and Architecture",)
JPEG: Final = file_of(quadrants())
SIDEWAYS: Final = 6  # EXIF: turn it clockwise to see it upright


class Client:
    """Stands in for boto3's client: remembers what it was asked, and answers or raises what it was given."""

    def __init__(self, answer: Json | Exception = ANSWER) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer = answer

    def detect_labels(self, **request: object) -> Json:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def concept(concept_id: str, name: str, *aliases: str) -> Concept:
    return Concept(concept_id, name, (), aliases, ("Everything Else",), (), ())


def recognizer_with(client: Any, *concepts: Concept, limits: DecodeLimits | None = None) -> RekognitionRecognizer:
    return RekognitionRecognizer(client, ids_by_word(concepts), 30.0, limits or DecodeLimits())


def sent(content: bytes, limits: DecodeLimits | None = None) -> tuple[bytes, Recognition]:
    """Return the bytes that Amazon is given for a file, and the result."""
    client = Client()
    recognition = recognizer_with(client, limits=limits).recognize_bytes(content)
    [request] = client.requests
    return request["Image"]["Bytes"], recognition


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def one_label(**members: Any) -> Json:
    return {"Labels": [{"Name": "Car", "Confidence": 90.0, **members}], "LabelModelVersion": "3.0"}


def labels_of(answer: Json, *concepts: Concept) -> tuple[Label, ...]:
    return recognizer_with(Client(answer), *concepts).recognize_bytes(JPEG).labels


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    use_aws(monkeypatch)
    return monkeypatch


@pytest.fixture
def server(aws_environment: pytest.MonkeyPatch) -> Iterator[RekognitionServer]:
    """Amazon on this machine, and clients that give up after two short attempts."""
    aws_environment.setattr(_clients, "_MAX_ATTEMPTS", 2)
    aws_environment.setattr(_clients, "_READ_TIMEOUT_S", 0.5)
    with RekognitionServer().running() as running:
        aws_environment.setenv("AWS_ENDPOINT_URL_REKOGNITION", running.url)
        yield running


# What an answer becomes


def test_labels_keep_everything_that_amazon_says_about_them() -> None:
    box, second_box = BoundingBox(0.925, 0.5, 0.075, 0.1), BoundingBox(0.61, 0.47, 0.05, 0.02)

    recognition = recognizer_with(Client(), concept("n02958343", "Car")).recognize_bytes(JPEG)

    assert recognition == Recognition(
        labels=(
            Label(
                name="Car",
                concept="n02958343",
                confidence=99.98,
                parents=("Transportation", "Vehicle"),
                aliases=("Automobile",),
                categories=VEHICLES,
                instances=(Instance(box, 99.98), Instance(second_box, 71.2)),
            ),
            Label("Vehicle", "rekognition:Vehicle", 99.98, ("Transportation",), (), VEHICLES),
            Label(
                "Metropolis", "rekognition:Metropolis", 81.25, ("City", "Urban"), (), ("Buildings and Architecture",)
            ),
        ),
        width=160,
        height=120,
        recognizer="rekognition",
        model_version="rekognition-3.0",
    )


def test_botocore_accepts_the_request_and_the_answer(aws_environment: pytest.MonkeyPatch) -> None:
    client = new_client("rekognition")
    expected = {"Image": {"Bytes": JPEG}, "MinConfidence": 30.0, "MaxLabels": 1000}
    with Stubber(client) as stubber:
        stubber.add_response("detect_labels", ANSWER, expected)

        assert len(recognizer_with(client).recognize_bytes(JPEG).labels) == 3


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([concept("n1", "car")], "n1"),
        ([concept("n1", "Motorcar", "CAR")], "n1"),
        ([concept("n1", "Automobile")], "n1"),
        ([concept("n1", "Motorcar", "Automobile")], "n1"),
        ([concept("n1", "Automobile"), concept("n2", "Car")], "n2"),
        ([concept("n2", "Car"), concept("n1", "Cable Car", "Car")], "n2"),
        ([concept("n1", "Cat")], "rekognition:Car"),
        ([], "rekognition:Car"),
    ],
    ids=[
        *("its name", "our alias", "amazon's alias", "both aliases", "name before amazon's alias"),
        *("name before our alias", "other", "none"),
    ],
)
def test_a_label_has_the_concept_that_lumitag_knows_by_one_of_its_names(known: list[Concept], expected: str) -> None:
    [label] = labels_of(one_label(Aliases=[{"Name": "Automobile"}]), *known)

    assert label.concept == expected


def test_a_label_without_lists_is_a_label() -> None:
    assert labels_of(one_label()) == (Label("Car", "rekognition:Car", 90.0),)


def test_boxes_end_at_the_edge_of_the_picture() -> None:
    over_the_edge = {"Left": -0.1, "Top": 0.75, "Width": 0.3, "Height": 0.4}
    outside = {"Left": 1.0, "Top": 0.0, "Width": 0.5, "Height": 0.5}
    boxes = [{"BoundingBox": box, "Confidence": 80.0} for box in (over_the_edge, outside)]

    [label] = labels_of(one_label(Instances=boxes))

    assert label.instances == (Instance(BoundingBox(0.0, 0.75, 0.2, 0.25), 80.0),)


def test_the_model_version_is_that_of_the_last_answer() -> None:
    client = Client(ANSWER | {"LabelModelVersion": "3.1"})
    recognizer = recognizer_with(client)

    assert recognizer.model_version == "rekognition-3.0"
    assert recognizer.recognize_bytes(JPEG).model_version == "rekognition-3.1"
    assert recognizer.model_version == "rekognition-3.1"


def test_a_stored_image_may_be_given_by_reference() -> None:
    client, stored = Client(), {"S3Object": {"Bucket": "uploads", "Name": "a-key"}}
    images = {"a-key": RekognitionImage(stored, 640, 480)}

    recognition = RekognitionRecognizer(client, {}, 30.0, DecodeLimits(), images.__getitem__).recognize("a-key")

    assert client.requests == [{"Image": stored, "MinConfidence": 30.0, "MaxLabels": 1000}]
    assert (recognition.width, recognition.height) == (640, 480)


def test_without_a_store_there_are_no_stored_images() -> None:
    client = Client()

    with pytest.raises(ImageNotFound, match="a-key"):
        recognizer_with(client).recognize("a-key")
    assert client.requests == []


# What is sent


@pytest.mark.parametrize("file_type", ["JPEG", "PNG"])
def test_what_amazon_takes_is_sent_as_it_is(file_type: str) -> None:
    content = file_of(quadrants(), file_type)

    assert sent(content)[0] == content


@pytest.mark.parametrize("file_type", ["WEBP", "GIF"])
def test_other_files_are_sent_as_jpeg(file_type: str) -> None:
    copy, recognition = sent(file_of(quadrants(), file_type))

    assert opened(copy).format == "JPEG"
    assert opened(copy).size == (recognition.width, recognition.height) == (160, 120)
    assert corners(opened(copy)) == "RGBW"


def test_amazon_turns_a_jpeg_upright_itself() -> None:
    content = file_of(quadrants(), exif=exif_with(SIDEWAYS))

    copy, recognition = sent(content)

    assert copy == content
    assert (recognition.width, recognition.height) == (120, 160)


def test_a_png_is_turned_upright_before_it_is_sent() -> None:
    """Amazon does not, so the boxes would lie in another frame than the page draws."""
    copy, recognition = sent(file_of(quadrants(), "PNG", exif=exif_with(SIDEWAYS)))

    assert opened(copy).size == (recognition.width, recognition.height) == (120, 160)
    assert corners(opened(copy)) == "BRWG"
    assert not opened(copy).getexif()


@pytest.mark.parametrize(("size", "is_same"), [(MAX_BYTES, True), (MAX_BYTES + 1, False)])
def test_a_file_of_up_to_5_mib_is_sent_as_it_is(size: int, is_same: bool) -> None:
    content = JPEG + bytes(size - len(JPEG))

    copy, _ = sent(content)

    assert (copy == content) is is_same
    assert len(copy) <= MAX_BYTES == 5_242_880


def test_a_larger_file_loses_bytes_before_it_loses_pixels() -> None:
    content = file_of(noise(1500, 1300), "PNG")

    copy, recognition = sent(content)

    assert len(copy) <= MAX_BYTES < len(content)
    assert opened(copy).size == (recognition.width, recognition.height) == (1500, 1300)


def test_a_very_large_file_loses_pixels_but_not_its_size() -> None:
    copy, recognition = sent(file_of(noise(3200, 2800), quality=97))

    assert len(copy) <= MAX_BYTES
    assert opened(copy).size == (2500, 2188)
    assert (recognition.width, recognition.height) == (3200, 2800)


def test_the_smallest_copy_always_fits() -> None:
    """Nothing compresses worse than noise."""
    assert len(thumbnail(file_of(noise(1250, 1250), "PNG"), 1250)) <= MAX_BYTES


@pytest.mark.parametrize(("width", "sent_width"), [(10_000, 10_000), (10_001, 10_000)])
def test_no_side_of_what_is_sent_is_longer_than_10000_pixels(width: int, sent_width: int) -> None:
    content = file_of(quadrants(width, 100))

    copy, recognition = sent(content, DecodeLimits(max_side=20_000))

    assert opened(copy).size == (sent_width, 100)
    assert (copy == content) is (width == sent_width)
    assert recognition.width == width


@pytest.mark.parametrize(
    ("content", "limits", "error"),
    [
        (b"not an image", DecodeLimits(), NotAnImage),
        (file_of(quadrants(79, 200)), DecodeLimits(min_side=1), ImageTooSmall),
        (file_of(quadrants(100, 200)), DecodeLimits(min_side=101), ImageTooSmall),
        (file_of(quadrants(100, 200)), DecodeLimits(max_side=199), ImageTooLarge),
    ],
)
def test_nobody_pays_for_an_image_that_cannot_be_recognized(
    content: bytes, limits: DecodeLimits, error: type[UnreadableImage]
) -> None:
    client = Client()

    with pytest.raises(error):
        recognizer_with(client, limits=limits).recognize_bytes(content)
    assert client.requests == []


def test_80_pixels_are_enough() -> None:
    assert sent(file_of(quadrants(80, 80)), DecodeLimits(min_side=1))[1].width == 80


# When Amazon gives no labels


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("ImageTooLargeException", ImageTooLarge, "15 MB"),
        ("InvalidImageFormatException", NotAnImage, "JPEG or PNG"),
        ("InvalidParameterException", UnreadableImage, "80 to 10,000 pixels"),
        ("ValidationException", UnreadableImage, "80 to 10,000 pixels"),
        ("InvalidS3ObjectException", ImageNotFound, "s3:GetObject"),
        ("AccessDeniedException", RecognizerUnavailable, "rekognition:DetectLabels"),
        ("AccessDenied", RecognizerUnavailable, "rekognition:DetectLabels"),
        ("ExpiredTokenException", RecognizerUnavailable, "expired"),
        ("ExpiredToken", RecognizerUnavailable, "expired"),
        ("UnrecognizedClientException", RecognizerUnavailable, "AWS_SECRET_ACCESS_KEY"),
        ("InvalidClientTokenId", RecognizerUnavailable, "AWS_SECRET_ACCESS_KEY"),
        ("InvalidSignatureException", RecognizerUnavailable, "clock"),
        ("SignatureDoesNotMatch", RecognizerUnavailable, "clock"),
        ("IncompleteSignature", RecognizerUnavailable, "AWS_SECRET_ACCESS_KEY"),
        ("MissingAuthenticationToken", RecognizerUnavailable, "AWS_SECRET_ACCESS_KEY"),
        ("OptInRequired", RecognizerUnavailable, "account"),
        ("SubscriptionRequiredException", RecognizerUnavailable, "account"),
        ("UnknownOperationException", RecognizerUnavailable, "AWS_DEFAULT_REGION"),
    ],
)
def test_what_no_attempt_can_change_says_what_to_do(code: str, error: type[LumitagError], words: str) -> None:
    amazon_says = {"Error": {"Code": code, "Message": "User: arn:aws:iam::123456789012:user/anna"}}

    with pytest.raises(error, match=words) as caught:
        recognizer_with(Client(aws.ClientError(amazon_says, "DetectLabels"))).recognize_bytes(JPEG)

    assert type(caught.value) is error
    assert "anna" not in caught.value.message, "it may be shown to anyone"


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidImageFormatException"])
def test_what_no_attempt_can_change_is_asked_once(server: RekognitionServer, code: str) -> None:
    server.turns = [refuses(code)]

    with pytest.raises((RecognizerUnavailable, NotAnImage)):
        build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("turn", "error", "words"),
    [
        (refuses("ThrottlingException"), RecognitionFailed, "quota"),
        (refuses("ProvisionedThroughputExceededException"), RecognitionFailed, "quota"),
        (refuses("InternalServerError", 500), RecognitionFailed, r"InternalServerError"),
        (answers(503, b"<html>busy</html>"), RecognitionFailed, r"\(503\)"),
        (hangs_up, RecognitionFailed, "broke off"),
        (waits(0.8), RecognizerTimedOut, "in time"),
    ],
    ids=["throttled", "over the rate", "broken", "a proxy is busy", "hung up", "too slow"],
)
def test_what_may_pass_is_asked_again_and_then_fails(
    server: RekognitionServer, turn: Turn, error: type[LumitagError], words: str
) -> None:
    server.turns = [turn] * 3

    with pytest.raises(error, match=words) as caught:
        build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG)

    assert type(caught.value) is error
    assert len(server.requests) == 2


@pytest.mark.parametrize("turn", [refuses("ThrottlingException"), answers(500, b""), hangs_up])
def test_a_second_attempt_may_succeed(server: RekognitionServer, turn: Turn) -> None:
    server.turns = [turn]

    assert build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG).labels
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "turn",
    [
        answers(200, b"<html>Sign in to this network</html>"),
        answers(200, b"\xff\xfe"),
        answers(200, b""),
        answers(200, {"Labels": ["Car"], "LabelModelVersion": "3.0"}),
        answers(200, {"Labels": 3, "LabelModelVersion": "3.0"}),
        answers(200, {"LabelModelVersion": "3.0"}),
        answers(200, {"Labels": []}),
        answers(200, {"Labels": [{"Name": "Car"}], "LabelModelVersion": "3.0"}),
    ],
    ids=["no json", "no text", "empty", "no objects", "no list", "no labels", "no model", "no confidence"],
)
def test_an_answer_that_is_not_understood_is_never_an_image_without_labels(
    server: RekognitionServer, turn: Turn
) -> None:
    server.turns = [turn]

    with pytest.raises(RecognitionFailed, match="not understood"):
        build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG)


def test_an_image_may_really_have_no_labels(server: RekognitionServer) -> None:
    server.answer = {"Labels": [], "LabelModelVersion": "3.0"}

    assert build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG).labels == ()


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (aws.NoCredentialsError(), RecognizerUnavailable, "no AWS credentials"),
        (aws.PartialCredentialsError(provider="env", cred_var="x"), RecognizerUnavailable, "no AWS credentials"),
        (aws.CredentialRetrievalError(provider="x", error_msg=SECRET), RecognizerUnavailable, "no AWS credentials"),
        (aws.TokenRetrievalError(provider="sso", error_msg=SECRET), RecognizerUnavailable, "aws sso login"),
        (aws.UnauthorizedSSOTokenError(), RecognizerUnavailable, "aws sso login"),
        (aws.LoginRefreshRequired(), RecognizerUnavailable, "no AWS credentials"),
        (aws.RefreshWithMFAUnsupportedError(), RecognizerUnavailable, "no AWS credentials"),
        (aws.ConnectTimeoutError(endpoint_url="x"), RecognizerUnavailable, "network"),
        (aws.ProxyConnectionError(proxy_url="http://u:p@x"), RecognizerUnavailable, "proxy"),
        (aws.SSLError(endpoint_url="x", error="x"), RecognizerUnavailable, "network"),
        (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), RecognitionFailed, "broke off"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_errors_of_botocore_are_told_in_our_words(raised: Exception, error: type[LumitagError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        recognizer_with(Client(raised)).recognize_bytes(JPEG)

    assert type(caught.value) is error
    assert SECRET not in caught.value.message
    assert caught.value.__cause__ is raised


def test_a_bug_rises_unchanged() -> None:
    bug = aws.ParamValidationError(report="MaxLabels is a text")

    with pytest.raises(aws.ParamValidationError):
        recognizer_with(Client(bug)).recognize_bytes(JPEG)


def test_nothing_listens_there(aws_environment: pytest.MonkeyPatch) -> None:
    aws_environment.setattr(_clients, "_MAX_ATTEMPTS", 1)
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    aws_environment.setenv("AWS_ENDPOINT_URL_REKOGNITION", f"http://127.0.0.1:{port}")

    with pytest.raises(RecognizerUnavailable, match="cannot be reached"):
        build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG)


def test_nothing_is_sent_without_credentials(server: RekognitionServer, aws_environment: pytest.MonkeyPatch) -> None:
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(RecognizerUnavailable, match="AWS_PROFILE"):
        build_rekognition_recognizer([], 30.0).recognize_bytes(JPEG)
    assert server.requests == []


# The client


def test_a_client_gives_up_in_time_to_be_asked_again_by_the_queue(aws_environment: pytest.MonkeyPatch) -> None:
    config = new_client("rekognition").meta.config

    assert config.retries == {"mode": "adaptive", "total_max_attempts": 4}
    assert (config.connect_timeout, config.read_timeout) == (20.0, 15.0)


def test_without_boto3_the_words_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)

    with pytest.raises(InvalidSettings, match=r"pip install 'lumitag\[aws\]'"):
        new_client("rekognition")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_DEFAULT_REGION", "not a region", "not a region"),
        ("AWS_PROFILE", "nobody", "nobody"),
        ("AWS_ENDPOINT_URL_REKOGNITION", "not a url", "not a url"),
    ],
)
def test_what_boto3_cannot_use_is_a_setting_that_is_wrong(
    aws_environment: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    aws_environment.setenv(variable, value)

    with pytest.raises(InvalidSettings, match=words):
        new_client("rekognition")


def test_without_a_region_the_words_say_how_to_set_it(aws_environment: pytest.MonkeyPatch) -> None:
    aws_environment.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(InvalidSettings, match=r"No AWS region is set\. Set AWS_DEFAULT_REGION"):
        new_client("rekognition")


def test_the_builder_gives_the_limits_and_the_concepts(server: RekognitionServer) -> None:
    recognizer = build_rekognition_recognizer([concept("n1", "Car")], 12.5, DecodeLimits(max_side=160))

    assert "n1" in {label.concept for label in recognizer.recognize_bytes(JPEG).labels}
    assert server.requests[0]["MinConfidence"] == 12.5
    with pytest.raises(ImageTooLarge):
        recognizer.recognize_bytes(file_of(quadrants(161, 120)))
