"""The mail server's URL: what it may say, and that no error repeats it."""

import pytest

from gateway.mailing import Relay, Tls, checked_address


@pytest.mark.parametrize(
    "url,expected",
    [
        ("smtp://mail.example", ("mail.example", 587, Tls.STARTTLS, None, None)),
        ("smtps://u%40x:p%3Aw@mail.example", ("mail.example", 465, Tls.FROM_THE_START, "u@x", "p:w")),
        ("smtp://u:hunter2@mail.example:2525/", ("mail.example", 2525, Tls.STARTTLS, "u", "hunter2")),
        ("smtp://127.0.0.1:25?tls=off", ("127.0.0.1", 25, Tls.OFF, None, None)),
        ("smtp://[::1]:25?tls=off", ("::1", 25, Tls.OFF, None, None)),
    ],
)
def test_what_a_url_says(url: str, expected: tuple[str, int, Tls, str | None, str | None]) -> None:
    relay = Relay.parse(url)
    assert (relay.host, relay.port, relay.tls, relay.user, relay.password) == expected
    assert expected[4] is None or expected[4] not in repr(relay)


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example", "http://hunter2@mail.example", "smtp://", "smtp://u:hunter2@mail.example:port",
        "smtp://u:hunter2@mail.example?tls=off", "smtps://mail.example?tls=off", "smtp://mail.example?tls=maybe",
        "smtp://mail.example?hunter2", "smtp://mail.example/hunter2", "smtp://[hunter2", "smtp://mail.example#hunter2",
        "smtp://mail.example?tls=off&hunter2=1",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"must be|takes|sends no|no URL") as caught:
        Relay.parse(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("address", ["ops", "ops@", "@x.example", "a b@x.example", "a@x.example\nBcc: b@y.example"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no e-mail address"):
        checked_address(address)
