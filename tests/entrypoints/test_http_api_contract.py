"""The OpenAPI document is complete and true, and everything that goes wrong is answered in one shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import httpx
import hypothesis
import pytest
import schemathesis
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import positive_data_acceptance

from lumitag import errors
from lumitag.domain import Json
from lumitag.entrypoints.http.http_errors import STATUS, status_of
from lumitag.entrypoints.http_api import create_app
from tests.entrypoints.conftest import ADDRESS, InProcess, Site, bearer, open_site
from tests.fakes import DOG

ENDLESS = {"/events"}
# A schema cannot say which cursors were given out, how large this server's images may be, or which addresses exist.
BEYOND_SCHEMAS = {"POST /generate-upload-url", "GET /images", "GET /dead-letters", "POST /subscriptions"}


def operations(site: Site, headers: dict[str, str]) -> Iterator[Any]:
    document = site.client.get("/openapi.json", headers=headers).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.app = site.app
    schema.config.base_url = ADDRESS
    for found in schema.get_all_operations():
        operation: Any = found
        if operation.ok().path not in ENDLESS:
            yield operation.ok()


def explore(operation: Any, headers: dict[str, str], examples: int = 25) -> None:
    """Send generated requests, valid and invalid, and compare every answer with the document."""
    excluded = [positive_data_acceptance] if operation.label in BEYOND_SCHEMAS else []

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def answers_as_documented(case: Any) -> None:
        if isinstance(case.body, dict):
            case.body.pop("waitSeconds", None)
        if case.body is not NOT_SET and case.media_type is None:
            case.media_type = "application/json"
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    answers_as_documented()


def test_every_answer_is_as_documented(site: Site) -> None:
    site.recognized()

    for operation in operations(site, {}):
        explore(operation, {})


def test_every_answer_is_as_documented_with_a_token(locked_site: Site) -> None:
    for operation in operations(locked_site, bearer()):
        explore(operation, bearer(), examples=8)


def test_the_models_describe_what_the_domain_writes(site: Site) -> None:
    """The answers are written by the domain, not by the models: the two must not drift apart."""
    document = site.client.get("/openapi.json").json()
    key = site.colored()
    shown = site.client.get(f"/images/{key}").json()
    schemas = document["components"]["schemas"]
    properties = shown["properties"]

    for value, model in [
        (shown, "ImageAnswer"),
        (DOG.to_json(), "LabelAnswer"),
        (shown["labels"][-1]["instances"][0], "InstanceAnswer"),
        (properties, "PropertiesAnswer"),
        (properties["quality"], "QualityAnswer"),
        (properties["foreground"], "RegionPropertiesAnswer"),
        (properties["foreground"]["quality"], "RegionQualityAnswer"),
        (properties["dominantColors"][0], "DominantColorAnswer"),
    ]:
        assert set(value) == set(schemas[model]["properties"]), model


def test_every_route_is_documented_and_documents_its_refusals(shared_site: Site) -> None:
    document = shared_site.client.get("/openapi.json").json()

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert {"400", "403", "421", "500"} <= set(operation["responses"]), f"{method} {path}"
            assert operation["description"], f"{method} {path}"


def test_the_upload_itself_is_documented(shared_site: Site) -> None:
    document = shared_site.client.get("/openapi.json").json()

    assert "put" in document["paths"]["/objects/{key}"]


def test_a_platform_that_clients_reach_directly_has_no_upload_route(shared_site: Site) -> None:
    app = create_app(replace(shared_site.platform, uploads=None), shared_site.settings)
    client = httpx.Client(transport=InProcess(app), base_url=ADDRESS)

    assert "/objects/{key}" not in client.get("/openapi.json").json()["paths"]
    assert client.put("/objects/x", content=b"").status_code in {404, 415}
    assert client.get("/events").status_code == 404


def every_error() -> list[type[errors.LumitagError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return [kind for kind in {*found, *STATUS} if issubclass(kind, errors.LumitagError)]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_one_shape_and_its_status(shared_site: Site, kind: type[errors.LumitagError]) -> None:
    answer = failing(shared_site, kind()).get("/labels")

    assert answer.status_code == status_of(kind)
    assert answer.json() == {
        "error": kind.code,
        "message": kind().message,
        "requestId": answer.headers["x-request-id"],
    }


@pytest.mark.parametrize("kind", [errors.TooManyRequests, errors.StoreUnavailable, errors.StoreFull])
def test_what_passes_says_when_to_try_again(shared_site: Site, kind: type[errors.LumitagError]) -> None:
    assert int(failing(shared_site, kind()).get("/labels").headers["retry-after"]) > 0


def test_an_error_that_nobody_named_has_the_status_of_the_nearest_above() -> None:
    class DogNotFound(errors.ImageNotFound):
        """No dog."""

    assert status_of(DogNotFound) == 404


def test_the_unexpected_tells_the_client_nothing_and_the_log_everything(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    answer = failing(site, ZeroDivisionError("the secret recipe")).get("/labels")

    assert answer.status_code == 500
    assert answer.json()["error"] == "internal_error"
    assert "recipe" not in answer.text
    assert "the secret recipe" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "code", "error"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/website/../settings.py", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/images", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_answered_in_the_same_shape(
    shared_site: Site, method: str, path: str, code: int, error: str
) -> None:
    content: Json = {"json": {}} if method == "POST" else {}
    answer = shared_site.client.request(method, path, **content)

    assert (answer.status_code, answer.json()["error"]) == (code, error)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/images", "GET"),
        (f"/images/{'0' * 26}", "DELETE, GET"),
        ("/subscriptions", "GET, POST"),
        (f"/objects/{'0' * 26}", "PUT"),
        ("/session", "DELETE, GET, POST"),
        ("/docs", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
def test_a_refused_method_names_those_that_are_taken(shared_site: Site, path: str, allowed: str) -> None:
    answer = shared_site.client.patch(path, json={})

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"fileName": "a.jpg", "contentType": "image/jpeg", "size": "12"}', "size"),
        (b'{"fileName": "a.jpg", "contentType": "image/jpeg"}', "size"),
        (b'{"fileName": "a.jpg", "contentType": "image/jpeg", "size": 12, "sice": 1}', "sice"),
        (b'{"fileName": "a\\ud800.jpg", "contentType": "image/jpeg", "size": 12}', "fileName"),
        (b'{"\\ud800": 1}', "body"),
        (b'{"fileName": ', "JSON"),
        (b"[" * 60_000, "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"fileName": "a.jpg", "contentType": "image/jpeg", "size": ' + b"9" * 5000 + b"}", ""),
    ],
)
def test_what_is_not_understood_is_named(shared_site: Site, body: bytes, words: str) -> None:
    answer = shared_site.client.post("/generate-upload-url", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert words in answer.json()["message"]


def test_the_docs_are_one_page_that_asks_nobody_else(shared_site: Site) -> None:
    page = shared_site.client.get("/docs")

    assert "POST /generate-upload-url" in page.text
    assert "//" not in page.text.replace("http://127.0.0.1:8000", "").partition("<h1>")[0]
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_readiness_names_what_is_wrong(site: Site) -> None:
    assert site.client.get("/readyz").json() == {"ready": True, "checks": {"database": "ok", "room": "ok"}}

    site.checks["room"] = "only 5 bytes are free"
    answer = site.client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"database": "ok", "room": "only 5 bytes are free"}}


def test_the_server_is_alive_whatever_the_store_does(shared_site: Site) -> None:
    assert failing(shared_site, errors.StoreUnavailable()).get("/healthz").json() == {"status": "ok"}


def test_metrics_name_routes_and_never_keys(site: Site) -> None:
    key = site.upload()
    site.client.get(f"/images/{key}")
    figures = site.client.get("/metrics").text

    assert 'lumitag_http_requests_total{code="200",method="GET",route="/images/{key}"} 1.0' in figures
    assert 'lumitag_http_requests_total{code="201",method="PUT",route="/objects/{key}"} 1.0' in figures
    assert 'lumitag_uploads_total{outcome="created"} 1.0' in figures
    assert key not in figures


def test_the_page_is_served_with_its_policy_and_its_tag(shared_site: Site) -> None:
    page = shared_site.client.get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert shared_site.client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304


def test_every_file_of_the_page_has_its_type(shared_site: Site) -> None:
    folder = Path(errors.__file__).parent / "website"
    for file in folder.iterdir():
        answer = shared_site.client.get(f"/website/{file.name}")
        assert answer.content == file.read_bytes()
        assert answer.headers["cache-control"] == "no-cache"
        assert not answer.headers["content-type"].startswith("application/octet-stream")


@cache
def raising(error: Exception) -> Callable[..., NoReturn]:
    def raise_it(*_arguments: object) -> NoReturn:
        raise error

    return raise_it


def failing(site: Site, error: Exception) -> httpx.Client:
    """Return a client of the same site with a label store that fails."""

    class Failing:
        label_counts = staticmethod(raising(error))

    pipeline = replace(site.platform.pipeline, label_store=Failing())  # type: ignore[arg-type]
    app = create_app(replace(site.platform, pipeline=pipeline), site.settings, site.feed)
    return httpx.Client(transport=InProcess(app), base_url=ADDRESS)


def test_a_site_can_be_opened_twice_in_one_process(tmp_path: Path) -> None:
    """Nothing of an application lives in a module."""
    one, other = open_site(tmp_path / "one"), open_site(tmp_path / "other")
    key = one.upload()

    assert one.client.get(f"/images/{key}").status_code == 200
    assert other.client.get(f"/images/{key}").status_code == 404
    one.platform.close()
    other.platform.close()


PAGE = Path(__file__).parents[2] / "docs" / "http-api.md"
ELSEWHERE = {
    *("notification_failed", "notification_refused", "invalid_settings", "token_missing", "weights_changed"),
    *("invalid_ground_truth", "invalid_labels_file", "invalid_model"),
}


def test_the_page_about_the_api_names_every_route(shared_site: Site) -> None:
    text = PAGE.read_text()
    paths = shared_site.client.get("/openapi.json").json()["paths"]

    assert [path for path in paths if path not in text] == []


def test_the_page_about_the_api_has_the_one_table_of_errors() -> None:
    found = set(re.findall(r"^\| (\d+) \| `(\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    kinds = [kind for kind in every_error() if kind.code not in ELSEWHERE]

    assert found == {(str(status_of(kind)), kind.code, kind().message) for kind in kinds}
