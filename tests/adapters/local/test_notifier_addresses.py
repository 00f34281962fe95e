"""New subscriptions and their addresses, and the signature that receivers check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumitag.adapters.local.notifier import check_address, new_secret, new_subscription, sign, verify
from lumitag.domain import Channel, Frequency
from lumitag.errors import InvalidSubscription

NOW_S = 1_790_000_000
BODY = b'{"type":"image.recognized"}'


def headers(secret: str, **others: str) -> dict[str, str]:
    found = {"webhook-id": "id-1", "webhook-timestamp": str(NOW_S)}
    return found | {"webhook-signature": sign(secret, "id-1", NOW_S, BODY)} | others


# --- signatures ---


def test_the_published_example_of_the_standard_is_signed_alike() -> None:
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(
    key=st.binary(min_size=24, max_size=64),
    webhook_id=st.text(max_size=50),
    timestamp=st.integers(0, 2**40),
    body=st.binary(),
)
def test_a_signature_is_what_anyone_computes_from_the_specification(
    key: bytes, webhook_id: str, timestamp: int, body: bytes
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    if not webhook_id.isascii():
        return
    expected = hmac.new(key, b"%b.%d.%b" % (webhook_id.encode(), timestamp, body), hashlib.sha256).digest()
    assert sign(secret, webhook_id, timestamp, body) == f"v1,{base64.b64encode(expected).decode()}"


def test_secrets_have_256_random_bits() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32 for secret in secrets)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!", "whsec_c2hvcnQ=", "whsec_" + base64.b64encode(b"x" * 65).decode(), "\u00e9"]
)
def test_a_bad_secret_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        sign(secret, "id-1", NOW_S, BODY)


def test_a_fresh_signature_is_right_in_upper_case_headers_too() -> None:
    secret = new_secret()
    assert verify(secret, {name.upper(): value for name, value in headers(secret).items()}, BODY, NOW_S + 299)


def test_one_of_several_signatures_is_enough() -> None:
    secret = new_secret()
    both = f"{sign(new_secret(), 'id-1', NOW_S, BODY)} v1a,x {sign(secret, 'id-1', NOW_S, BODY)}"
    assert verify(secret, headers(secret, **{"webhook-signature": both}), BODY, NOW_S)


SECRET = new_secret()


@pytest.mark.parametrize(
    ("changed", "body", "now_s"),
    [
        ({}, BODY + b" ", NOW_S),
        ({}, BODY, NOW_S + 301),
        ({}, BODY, NOW_S - 301),
        ({"webhook-id": "id-2"}, BODY, NOW_S),
        ({"webhook-id": ""}, BODY, NOW_S),
        ({"webhook-timestamp": str(NOW_S + 1)}, BODY, NOW_S),
        ({"webhook-timestamp": ""}, BODY, NOW_S),
        ({"webhook-timestamp": f"+{NOW_S}"}, BODY, NOW_S),
        ({"webhook-timestamp": "\uff11"}, BODY, 1),
        ({"webhook-timestamp": "9" * 5000}, BODY, NOW_S),
        ({"webhook-signature": ""}, BODY, NOW_S),
        ({"webhook-signature": "v1,"}, BODY, NOW_S),
        ({"webhook-signature": "v1,\ud800\u00e9"}, BODY, NOW_S),
        ({"webhook-signature": sign(new_secret(), "id-1", NOW_S, BODY)}, BODY, NOW_S),
        ({"webhook-signature": sign(SECRET, "id-1", NOW_S, BODY).replace("v1,", "v2,")}, BODY, NOW_S),
    ],
)
def test_a_changed_old_or_foreign_call_is_not_verified(changed: dict[str, str], body: bytes, now_s: float) -> None:
    assert verify(SECRET, headers(SECRET), BODY, NOW_S)
    assert not verify(SECRET, headers(SECRET, **changed), body, now_s)
    assert not verify(SECRET, {}, body, now_s)


# --- addresses ---


@pytest.mark.parametrize(
    ("channel", "address", "normal"),
    [
        (Channel.MAIL, "You.And+Me@Example.COM", "You.And+Me@example.com"),
        (Channel.MAIL, "root@localhost", "root@localhost"),
        (Channel.MAIL, "o'neil@xn--n3h.example", "o'neil@xn--n3h.example"),
        (Channel.WEBHOOK, "HTTPS://Hooks.Example.COM", "https://hooks.example.com/"),
        (Channel.WEBHOOK, "https://hooks.example.com:443/a?b=c#d", "https://hooks.example.com/a?b=c"),
        (Channel.WEBHOOK, "https://hooks.example.com.:8443/", "https://hooks.example.com:8443/"),
        (Channel.WEBHOOK, "https://hooks.example.com:/x", "https://hooks.example.com/x"),
        (Channel.WEBHOOK, "https://[2606:4700:0::1111]/", "https://[2606:4700::1111]/"),
        (Channel.WEBHOOK, "https://8.8.8.8:8080/", "https://8.8.8.8:8080/"),
    ],
)
def test_a_good_address_gets_its_normal_spelling(channel: Channel, address: str, normal: str) -> None:
    assert check_address(channel, address, allow_private=False) == normal
    assert check_address(channel, normal, allow_private=False) == normal


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:3000/",
        "http://[::1]:3000/",
        "http://localhost/x",
        "http://nas.local:9000/",
        "https://10.0.0.7/",
    ],
)
def test_a_private_webhook_is_taken_only_where_that_is_allowed(address: str) -> None:
    assert check_address(Channel.WEBHOOK, address, allow_private=True) == address
    with pytest.raises(InvalidSubscription):
        check_address(Channel.WEBHOOK, address, allow_private=False)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://10.0.0.1/", "private network"), ("https://localhost/", "private network"),
        ("https://169.254.169.254/", "reserved"), ("https://[::ffff:8.8.8.8]/", "reserved"),
        ("http://hooks.example.com/", "https"), ("https://hooks.example.com:25/", "port"), ("https://8.8.8.8:22/",
        "port"),
        ("https://user:pass@hooks.example.com/", "user name"), ("https://hooks.example.com:0/", "read"),
        ("https://hooks.example.com:99999/", "read"), ("https://[::1/", "read"),
        ("https://[1:2]/", "read"), ("hooks.example.com", "https://"),
        ("ftp://hooks.example.com/", "https://"), ("https://", "https://"), ("https://2130706433/", "four decimal"),
        ("https://0x7f.1/", "four decimal"), ("https://a..b/", "name"), (f"https://{'a' * 64}.b/", "name"),
        ("https://-a.b/", "name"),
        ("https://\u00e4.example/", "xn--"), ("https://a b/", "characters"), ("https://a\r\nb/", "characters"),
        ("https://a/" + "x" * 2000, "too long"), ("", "characters"),
    ],
)  # fmt: skip
def test_a_bad_url_is_refused_with_what_is_wrong(address: str, words: str) -> None:
    with pytest.raises(InvalidSubscription, match=words):
        check_address(Channel.WEBHOOK, address, allow_private=False)


@pytest.mark.parametrize(
    "address", ["https://169.254.169.254/", "http://8.8.8.8/", "https://8.8.8.8:25/", "http://0.0.0.0/"]
)
def test_allowing_private_addresses_allows_no_others(address: str) -> None:
    with pytest.raises(InvalidSubscription):
        check_address(Channel.WEBHOOK, address, allow_private=True)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("you", "name@example.com"), ("You <you@example.com>", "display name"), ("you@\u00e4.example", "xn--"),
        ("you@example.com\n", "name@example.com"), (f"{'a' * 65}@example.com", "too long"),
        (f"you@{'.'.join(['d' * 60] * 5)}", "too long"),
    ],
)  # fmt: skip
def test_a_bad_mail_address_is_refused_with_what_is_wrong(address: str, words: str) -> None:
    with pytest.raises(InvalidSubscription, match=words):
        check_address(Channel.MAIL, address, allow_private=True)


@given(st.text(), st.sampled_from(Channel), st.booleans())
def test_any_text_is_either_refused_or_plain(text: str, channel: Channel, allow_private: bool) -> None:
    try:
        normal = check_address(channel, text, allow_private)
    except InvalidSubscription:
        return
    assert re.fullmatch(r"[!-~]+", normal)


# --- new subscriptions ---


def test_a_new_webhook_has_a_random_id_and_a_secret() -> None:
    one, two = (new_subscription(Channel.WEBHOOK, "https://hooks.example.com", [" Cat ", "Cat", ""]) for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", one.id)
    assert (one.address, one.labels, one.min_confidence) == ("https://hooks.example.com/", ("Cat",), 70.0)
    assert one.secret.startswith("whsec_")
    assert (one.id, one.secret) != (two.id, two.secret)


def test_a_new_mail_subscription_may_be_a_digest_and_has_no_secret() -> None:
    daily = new_subscription(Channel.MAIL, "you@Example.com", frequency=Frequency.DAILY, min_confidence=0)
    assert (daily.address, daily.frequency, daily.secret) == ("you@example.com", Frequency.DAILY, "")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frequency": Frequency.DAILY}, "each image"),
        ({"min_confidence": -0.1}, "percent"),
        ({"min_confidence": 100.1}, "percent"),
        ({"min_confidence": math.nan}, "percent"),
        ({"labels": ["x" * 201]}, "at most"),
        ({"labels": [str(number) for number in range(101)]}, "at most"),
        ({"address": "http://127.0.0.1/"}, "private network"),
    ],
)
def test_a_wrong_subscription_is_refused_with_what_is_wrong(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSubscription, match=words):
        new_subscription(**({"channel": Channel.WEBHOOK, "address": "https://hooks.example.com"} | wrong))
