"""Where webhooks may lead: nobody reaches what is inside through the market."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from webhook_server import Receiver

from market.notifications import addresses, webhooks
from market.notifications.addresses import ForbiddenAddressError

Configure = Callable[..., None]

INSIDE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1", "::7f00:1"),
]


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have names lead to addresses, one answer after the other; return the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    def look_up(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_that_is_not_public(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    configure()
    written = f"[{address}]" if ":" in address else address
    with pytest.raises(ForbiddenAddressError):
        addresses.check(f"https://{written}/hook")
    for answer in ([address], ["93.184.216.34", address]):  # by its name, and beside a public one
        answering(monkeypatch, answer)
        addresses.check("https://hooks.example.org/hook")
        with pytest.raises(ForbiddenAddressError, match="no public address"):
            addresses.connect(addresses.parsed("https://hooks.example.org/hook"))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001", "localhost", "LOCALHOST"])
def test_no_other_way_to_write_loopback(configure: Configure, host: str) -> None:
    configure()
    with pytest.raises(ForbiddenAddressError, match="no public address"):
        addresses.connect(addresses.parsed(f"https://{host}/"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "hook", "ftp://a.org/", "file:///etc/passwd", "https://", "https:///x", "javascript:x"),
        *("https://user@a.org/", "https://user:word@a.org/", "https://a.org/#x", "https://a.org:0/"),
        *("https://a.org:99999/", "https://a.org/\r\nHost: b", "https://a.org/ b", "https://ä.org/"),
        *("https://[::1", "https://a.org/" + "x" * 2048, "http://a.org/", "http://8.8.8.8/"),
    ],
)
def test_what_is_no_address_of_a_webhook(configure: Configure, url: str) -> None:
    configure()
    with pytest.raises(ForbiddenAddressError):
        addresses.check(url)


def test_the_connection_is_made_to_the_address_that_was_checked(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, hook: Receiver
) -> None:
    configure(webhook_networks="127.0.0.1/32")
    asked = answering(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
    webhooks.send("a" * 32, hook.url.replace("127.0.0.1", "rebinding.example.org"), "id", b"{}")
    assert asked == ["rebinding.example.org"]
    (message,) = hook.messages
    assert message.headers["host"] == f"rebinding.example.org:{hook.port}"


def test_a_network_is_allowed_by_the_settings_alone(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, hook: Receiver
) -> None:
    configure(webhook_networks="10.0.0.0/8")
    with pytest.raises(ForbiddenAddressError):
        webhooks.send("a" * 32, hook.url, "id", b"{}")
    configure(webhook_networks="10.0.0.0/8,127.0.0.0/8")
    webhooks.send("a" * 32, hook.url, "id", b"{}")
    assert len(hook.messages) == 1


def test_the_host_s_own_public_address_is_inside(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, hook: Receiver
) -> None:
    configure()
    monkeypatch.setattr(addresses, "_permit", lambda *_: None)  # as if loopback were public
    with pytest.raises(ForbiddenAddressError, match="own host"):
        webhooks.send("a" * 32, hook.url, "id", b"{}")
    assert hook.messages == []
