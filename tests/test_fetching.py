"""Asking servers outside (THREATS C2): nothing inside is ever asked, whatever the address looks like, and every answer is bounded."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from outside import Outside, outside

from endcap.ops import reachable
from endcap.ops.fetching import Connect, Fetched, Fetcher, NotFetched, look_up
from endcap.ops.pictures import MOST_BYTES, Pictures
from endcap.ops.raster import kind_of, pixels_of
from endcap.ops.reachable import Refused, target_of
from endcap.problems import Problem
from endcap.serve.app import make_app
from endcap.serve.sample_catalog import SETTINGS, TABLES, SampleGate, SampleHome
from endcap.settings import Destination

PUBLIC = "93.184.215.14"

# PORT stands for the canary's. Forms that are loopback, private or of another machine's inside, as addresses and as what names lead to.
HOSTILE = [
    "http://127.0.0.1:PORT/", "http://127.1:PORT/", "http://127.0.1:PORT/", "http://2130706433:PORT/", "http://0x7f000001:PORT/", "http://0x7f.1:PORT/",
    "http://0177.0.0.1:PORT/", "http://017700000001:PORT/", "http://127.0.0.01:PORT/", "http://0x7f.0x0.0x0.0x1:PORT/", "http://127.0.0.1.:PORT/",
    "http://0:PORT/", "http://0.0.0.0:PORT/", "http://127.255.255.254:PORT/", "http://[::1]:PORT/", "http://[::]:PORT/", "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/", "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/", "http://[::127.0.0.1]:PORT/", "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/", "http://[2002:7f00:1::]:PORT/", "http://[2001:0:7f00:1::1]:PORT/", "http://[fe80::1%25lo]:PORT/",
    "http://[fe80::1]:PORT/", "http://[fec0::1]:PORT/", "http://[fc00::1]:PORT/", "http://[ff02::1]:PORT/", "http://[2600::5efe:7f00:1]:PORT/",
    "http://localhost:PORT/", "http://LOCALHOST:PORT/", "http://localhost.:PORT/", "http://１２７.０.０.１:PORT/", "http://127。0。0。1:PORT/",
    "http://①②⑦.0.0.1:PORT/", "http://%31%32%37.0.0.1:PORT/", "http://user@127.0.0.1:PORT/", "http://public.example\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@public.example/", "http://public.example@127.0.0.1:PORT/", "http://127.0.0.1\t:PORT/", "http://127.0.0.1 :PORT/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/", "http://100.100.100.200/",
    "http://100.64.0.1/", "http://198.18.0.1/", "http://198.19.255.254/", "http://192.0.0.8/", "http://192.0.2.1/", "http://192.88.99.1/",
    "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/", "http://168.63.129.16/", "http://[2001:db8::1]/", "http://[3fff::1]/",
    "https://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/_", "file:///etc/passwd", "ftp://127.0.0.1:PORT/", "//127.0.0.1:PORT/", "127.0.0.1:PORT", "",
    "http://", "http://[::1", "http://public.example:PORT/", "http://public.example:22/", "http://public.example:99999/",
]  # fmt: skip
LEADS_INSIDE = [
    "127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.1.1", "172.31.255.255", "100.127.0.1", "198.19.0.1", "0.0.0.0", "fd00::1",
    "fe80::1%lo", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.251", "not an address",
]  # fmt: skip


@pytest.fixture
def canary() -> Iterator[Outside]:
    """A server inside that must never hear anything."""
    with outside() as made:
        yield made
        assert made.asked == [], f"the canary was asked: {made.asked}"


def public(_host: str, _port: int) -> Sequence[str]:
    return [PUBLIC]


def never(number: str, port: int, _seconds: float) -> socket.socket:
    raise AssertionError(f"{number} {port} was connected to")


def to(server: Outside) -> Connect:
    """Connections that all end at one server, so that whatever gets past the checks is seen there."""
    return lambda _number, _port, seconds: socket.create_connection(("127.0.0.1", server.port), seconds)


def filled(address: str, port: int) -> str:
    return address.replace("PORT", str(port))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", HOSTILE)
@pytest.mark.parametrize("verb", ["get", "post"])
def test_an_address_that_leads_inside_is_never_asked(canary: Outside, address: str, verb: str) -> None:
    """With the system's own resolver, so that whatever it makes of a strange number is what counts; the names are led to a public address."""

    def resolve(host: str, port: int) -> Sequence[str]:
        return [PUBLIC] if host.endswith("public.example") else look_up(host, port)

    fetcher, given = Fetcher(seconds=5, resolve=resolve, connect=to(canary)), filled(address, canary.port)
    with pytest.raises(Refused) as refused:
        fetcher.get(given, most_bytes=10) if verb == "get" else fetcher.post(given, b"{}", {})
    assert refused.value.sentence().endswith(".") and "\n" not in refused.value.sentence()


@pytest.mark.parametrize("number", LEADS_INSIDE)
@pytest.mark.parametrize("beside", [[], [PUBLIC]], ids=["alone", "beside a public one"])
def test_a_name_that_leads_inside_is_never_asked(canary: Outside, number: str, beside: list[str]) -> None:
    fetcher = Fetcher(resolve=lambda _host, _port: [*beside, number], connect=to(canary))
    with pytest.raises(Refused):
        fetcher.get("http://harmless.example/", most_bytes=10)


def test_addresses_that_are_public_are_asked() -> None:
    """The rules refuse no more than they should."""
    for number in (PUBLIC, "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "198.17.255.255", "198.20.0.1", "192.167.1.1",
                   "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001:82f::200e", "2001:4860:4860::8888"):  # fmt: skip
        reachable.check(number, 443, (), where="")
    for address, host in {"http://Müller.example/ü?q=ä b": "xn--mller-kva.example", "https://shop.example.": "shop.example", "http://8.8.8.8/": "8.8.8.8",
                          "http://a_b.shop.example:80": "a_b.shop.example", "http://[2001:4860:4860:0::8888]/": "2001:4860:4860::8888"}.items():  # fmt: skip
        assert target_of(address).host == host
    assert target_of("http://Müller.example/ü?q=ä b").path == "/%C3%BC?q=%C3%A4%20b"
    assert target_of("https://[2001:4860:4860::8888]:8443/").authority == "[2001:4860:4860::8888]:8443"


@pytest.mark.parametrize("host", ["134744072", "0x08080808", "010.8.8.8", "8.8.2056", "0x8.8.8.8", "8.8.8.0x8", "1.2.3.4.5"])
def test_a_number_is_written_in_one_way(host: str) -> None:
    """Also a public one: what it means depends on who reads it."""
    with pytest.raises(Refused, match="number in disguise"):
        target_of(f"http://{host}/")


# --- what was checked is what is connected to -----------------------------------------------------------------------


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(canary: Outside) -> None:
    """DNS rebinding: the name leads to a public address when it is checked, and inside ever after."""
    looked_up, connected = [], []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        looked_up.append(host)
        return [PUBLIC] if len(looked_up) == 1 else ["127.0.0.1"]

    with outside() as server:

        def connect(number: str, port: int, seconds: float) -> socket.socket:
            connected.append((number, port))
            assert number == PUBLIC, "only what was checked"
            return socket.create_connection(("127.0.0.1", server.port), seconds)

        found = Fetcher(resolve=rebinding, connect=connect).get("http://rebinding.example/a", most_bytes=10)
        assert (found.status, found.body, looked_up, connected) == (200, b"ok", ["rebinding.example"], [(PUBLIC, 80)])
        assert server.asked[0].headers["host"] == "rebinding.example", "by name, though connected to by number"
        server.answer = lambda _asked: (302, {"Location": f"http://rebinding.example:80/{canary.port}"}, b"")
        looked_up.clear()
        with pytest.raises(Refused):  # the second time it is looked up, since it is another question, it leads inside
            Fetcher(resolve=rebinding, connect=connect).get("http://rebinding.example/a", most_bytes=10)
        assert looked_up == ["rebinding.example"] * 2 and connected == [(PUBLIC, 80)] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_a_chain_of_redirects_ends_before_the_canary(canary: Outside, status: int, hops: int) -> None:
    """The first server is allowed by its address and port; what it leads to is not."""
    with outside() as server:
        allowed = [Destination(network="127.0.0.1", ports=[server.port])]

        def lead_on(asked: object) -> tuple[int, dict[str, str], bytes]:
            last = len(server.asked) == hops
            return status, {"Location": f"{canary.address}/secret" if last else f"/hop{len(server.asked)}"}, b""

        server.answer = lead_on
        with pytest.raises(Refused):
            Fetcher(allowed).get(f"{server.address}/", most_bytes=10)
        assert len(server.asked) == hops


LOCATIONS = [
    "//127.0.0.1:{}/", "//127.0.0.1:{}", "http://2130706433:{}/", "http://[::ffff:127.0.0.1]:{}/", "file:///etc/passwd", "http://[", "http://user@127.0.0.1:{}/",
]  # fmt: skip


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_is_checked_as_a_first_address(canary: Outside, location: str) -> None:
    with outside() as server:
        server.answer = lambda _asked: (302, {"Location": location.format(canary.port)}, b"")
        with pytest.raises(Refused):
            Fetcher([Destination(network="127.0.0.1", ports=[server.port])]).get(server.address, most_bytes=10)


def test_redirects_end_and_a_post_follows_none(canary: Outside) -> None:
    with outside() as server:
        allowed = [Destination(network="127.0.0.0/8", ports=[server.port])]
        server.answer = lambda asked: (302, {"Location": "/again"}, b"")
        with pytest.raises(NotFetched, match="more than 3 times"):
            Fetcher(allowed).get(server.address, most_bytes=10)
        assert len(server.asked) == 4
        server.answer = lambda asked: (307, {"Location": canary.address}, b"")
        assert Fetcher(allowed).post(server.address, b"{}", {}).status == 307


def test_another_port_or_address_than_the_allowed_one_is_refused(canary: Outside) -> None:
    allowed = [Destination(network="10.0.0.0/8", ports=[canary.port]), Destination(network="127.0.0.1", ports=[1]), Destination(network="::1")]
    with pytest.raises(Refused):
        Fetcher(allowed).get(canary.address, most_bytes=10)


# --- bounds ---------------------------------------------------------------------------------------------------------


def ask(server: Outside, **given: float) -> Fetched:
    return Fetcher([Destination(network="127.0.0.1", ports=[server.port])], **given).get(server.address, most_bytes=1000)


def test_no_more_is_taken_than_is_allowed() -> None:
    with outside() as server:
        server.answer = lambda _asked: (200, {}, b"x" * 1000)
        assert len(ask(server).body) == 1000
        server.answer = lambda _asked: (200, {}, b"x" * 1001)
        with pytest.raises(NotFetched, match="more than 1,000 bytes"):
            ask(server)
        server.answer = lambda _asked: (200, {"Content-Length": "0", "Transfer-Encoding": "chunked"}, b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
        with pytest.raises(NotFetched, match="more than 1,000 bytes"):
            ask(server)
        server.answer = lambda _asked: (200, {"Content-Length": "900"}, b"x" * 10)
        with pytest.raises(NotFetched, match="ended early"):
            ask(server)
        bomb = zlib.compress(bytes(1_000_000))
        server.answer = lambda _asked: (200, {"Content-Encoding": "deflate"}, bomb[:900])
        assert len(ask(server).body) <= 1000, "what was packed stays packed"


@pytest.mark.parametrize("slow", ["headers", "body", "silent"])
def test_a_server_that_drips_holds_nobody_longer_than_the_limit(slow: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connected, _peer = listening.accept()
        with connected:
            begin = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" if slow == "body" else b"HTTP/1.1 200 OK\r\nX-A: "
            try:
                if slow != "silent":
                    connected.sendall(begin)
                while not over.wait(0.05):
                    if slow != "silent":
                        connected.sendall(b"a")
            except OSError:
                pass

    threading.Thread(target=drip, daemon=True).start()
    port, started = listening.getsockname()[1], time.monotonic()
    with pytest.raises(NotFetched, match=r"no whole answer within 0\.5 seconds"):
        Fetcher([Destination(network="127.0.0.1", ports=[port])], seconds=0.5).get(f"http://127.0.0.1:{port}/", most_bytes=1000)
    assert time.monotonic() - started < 2
    over.set()
    listening.close()


def test_a_resolver_that_hangs_and_one_that_fails_are_said() -> None:
    def hang(_host: str, _port: int) -> Sequence[str]:
        time.sleep(3)
        return [PUBLIC]

    started = time.monotonic()
    with pytest.raises(NotFetched, match=r"within 0\.2 seconds"):
        Fetcher(seconds=0.2, resolve=hang, connect=never).get("http://slow.example/", most_bytes=1)
    assert time.monotonic() - started < 2
    with pytest.raises(NotFetched, match="leads nowhere"):
        Fetcher(connect=never).get("http://shop.example/", most_bytes=1)


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    with outside() as server:

        def connect(number: str, _port: int, seconds: float) -> socket.socket:
            if number != PUBLIC:
                raise ConnectionRefusedError("nobody listens")
            return socket.create_connection(("127.0.0.1", server.port), seconds)

        assert Fetcher(resolve=lambda _h, _p: ["2606:2800:21f::1", PUBLIC], connect=connect).get("http://two.example/", most_bytes=9).status == 200
        with pytest.raises(NotFetched, match="nobody listens"):
            Fetcher(resolve=lambda _h, _p: ["8.8.8.8"], connect=connect).get("http://two.example/", most_bytes=9)


def test_https_is_verified_by_name_though_connected_by_number(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=shop.example",
         "-addext", "subjectAltName=DNS:shop.example", "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _question in range(3):
            plain, _peer = listening.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as connected:
                    connected.recv(4096)
                    connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    trust = ssl.create_default_context(cafile=str(certificate))

    def connect(_number: str, _port: int, seconds: float) -> socket.socket:
        return socket.create_connection(listening.getsockname(), seconds)

    assert Fetcher(resolve=public, connect=connect, trust=trust).get("https://shop.example/", most_bytes=9).body == b"ok"
    for address, given in (("https://other.example/", trust), ("https://shop.example/", None)):
        with pytest.raises(NotFetched, match=r"(?i)certificate"):
            Fetcher(resolve=public, connect=connect, trust=given).get(address, most_bytes=9)
    assert names == ["shop.example", "other.example", "shop.example"]
    listening.close()


def test_proxies_of_the_environment_are_not_used(canary: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, canary.address)
    with outside() as server:
        assert ask(server).status == 200


# --- pictures -------------------------------------------------------------------------------------------------------


def png(width: int = 2, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff\x00\x00" * width) * height) if width < 100 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x11\x08\x00\x03\x00\x05\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"
)
GIF = b"GIF89a\x04\x00\x06\x00\x00\x00\x00;"
WEBP = {
    b"VP8X": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + bytes([6, 0, 0, 7, 0, 0]),
    b"VP8L": b"RIFF\x1e\0\0\0WEBPVP8L\x05\0\0\0\x2f" + struct.pack("<I", 6 | 7 << 14),
    b"VP8 ": b"RIFF\x1e\0\0\0WEBPVP8 \x0a\0\0\0\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 7, 8),
}
REFUSED_PICTURES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "html": b"<!doctype html><script>alert(1)</script>",
    "svg after a png's first letters": b"\x89PNG<svg onload=alert(1)>", "empty": b"", "pdf": b"%PDF-1.7", "bmp": b"BM" + bytes(60),
    "avif": b"\0\0\0\x20ftypavif" + bytes(20), "riff that is sound": b"RIFF\0\0\0\0WAVEfmt ", "a flood of pixels": png(100_000, 100_000),
    "a jpeg without a frame": b"\xff\xd8\xff\xd9", "a png cut short": png()[:14], "too large": png() + bytes(MOST_BYTES),
}  # fmt: skip


def test_a_pictures_kind_and_size_are_read_from_its_bytes() -> None:
    kinds = {"image/png": (png(3, 5), 15), "image/jpeg": (JPEG, 15), "image/gif": (GIF, 24), "image/webp": (WEBP[b"VP8X"], 56)}
    for kind, (body, pixels) in kinds.items():
        assert (kind_of(body), pixels_of(body)) == (kind, pixels)
    assert [pixels_of(body) for body in WEBP.values()] == [56, 56, 56]
    assert pixels_of(b"\xff\xd8\xff" + b"\xff" * 50) is None


@pytest.fixture
def shop() -> Iterator[Outside]:
    with outside() as made:
        made.answer = lambda _asked: (200, {"Content-Type": "text/html"}, png())
        yield made


@pytest.fixture
def page(shop: Outside, tmp_path: Path) -> TestClient:
    """The sample catalog, whose first offer names a picture in the shop."""
    rows = {one["offer_id"]: {**one, "image_url": f"{shop.address}/1.png"} for one in TABLES["offers"]}
    rows["nord:2"]["image_url"], rows["nord:3"]["image_url"] = "javascript:alert(1)", None
    app = make_app(SampleHome({**TABLES, "offers": list(rows.values())}, None), SampleGate())
    app.state.pictures = Pictures(tmp_path, Fetcher([Destination(network="127.0.0.1", ports=[shop.port], purpose="pictures")]))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_a_picture_is_fetched_once_and_comes_from_our_own_address(page: TestClient, shop: Outside) -> None:
    first = page.get("/pictures/nord:1")
    assert (first.status_code, first.content, first.headers["content-type"]) == (200, png(), "image/png"), "by its bytes, whatever the shop says"
    assert first.headers["x-content-type-options"] == "nosniff" and "default-src 'none'" in first.headers["content-security-policy"]
    assert page.get("/pictures/nord%3A1").content == png() and page.get("/pictures/sued:1").content == png()
    assert len(shop.asked) == 1 and "cookie" not in shop.asked[0].headers and "referer" not in shop.asked[0].headers
    assert page.get("/pictures/nord:1", headers={"if-none-match": first.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("what", REFUSED_PICTURES)
def test_what_is_no_picture_is_not_passed_on(page: TestClient, shop: Outside, what: str, tmp_path: Path) -> None:
    shop.answer = lambda _asked: (200, {"Content-Type": "image/png"}, REFUSED_PICTURES[what])
    for _again in range(2):
        answer = page.get("/pictures/nord:1")
        assert answer.status_code == 404 and set(answer.json()) == {"error"} and answer.json()["error"]["code"] == "not_found"
    assert len(shop.asked) == 1, "a dead address is left alone for a while"
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("offer_id", ["nord:2", "nord:3", "nord:none", "../../etc/passwd", "x" * 500])
def test_an_offer_without_a_picture_has_none(page: TestClient, shop: Outside, offer_id: str) -> None:
    answer = page.get(f"/pictures/{offer_id}")
    assert answer.status_code == 404 and set(answer.json()["error"]) == {"code", "message", "hint"} and not shop.asked


def test_a_picture_never_leads_inside(canary: Outside, tmp_path: Path) -> None:
    """Through the route, with nothing allowed: every hostile form, and every name that leads inside."""
    addresses = [filled(one, canary.port) for one in HOSTILE] + [f"http://inside{number}.example/" for number in range(len(LEADS_INSIDE))]
    rows = [{**TABLES["offers"][0], "offer_id": f"nord:{number}", "image_url": address} for number, address in enumerate(addresses)]

    def resolve(host: str, port: int) -> Sequence[str]:
        if host.startswith("inside"):
            return [LEADS_INSIDE[int(host.split(".")[0].removeprefix("inside"))]]
        return [PUBLIC] if host.endswith("public.example") else look_up(host, port)

    app = make_app(SampleHome({**TABLES, "offers": rows}, None), SampleGate())
    app.state.pictures = Pictures(tmp_path, Fetcher(resolve=resolve, connect=to(canary)))
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    for number, address in enumerate(addresses):
        answer = client.get(f"/pictures/nord:{number}")
        assert answer.status_code == 404 and set(answer.json()) == {"error"}, address
        assert "127.0.0.1" not in answer.text and "public" not in answer.text, "nothing is said of what is inside"


def test_an_older_picture_stays_where_its_server_has_none_now(shop: Outside, tmp_path: Path) -> None:
    address = f"{shop.address}/1.png"
    pictures = Pictures(tmp_path, Fetcher([Destination(network="127.0.0.1", ports=[shop.port])]))
    pictures.fetch(address)
    (file,) = [one for one in tmp_path.rglob("*") if one.is_file()]
    os.utime(file, (0, 0))
    shop.answer = lambda _asked: (500, {}, b"")
    assert pictures.fetch(address).body == png() and len(shop.asked) == 2
    file.write_bytes(b"<svg/>")
    with pytest.raises(Problem):
        pictures.fetch(address)


def test_the_folder_of_pictures_stays_within_its_size(shop: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from endcap.ops import pictures

    monkeypatch.setattr(pictures, "MOST_KEPT_BYTES", 5 * len(png()))
    monkeypatch.setattr(pictures, "SWEPT_EVERY", 2)
    kept = Pictures(tmp_path, Fetcher([Destination(network="127.0.0.1", ports=[shop.port])]))
    for number in range(12):
        kept.fetch(f"{shop.address}/{number}.png")
        file = kept._file(f"{shop.address}/{number}.png")
        os.utime(file, (time.time() - 1000 + number,) * 2)
    left = [number for number in range(12) if kept.kept(f"{shop.address}/{number}.png")]
    assert 3 <= len(left) <= 6 and left[-1] == 11, left


def test_a_catalog_that_wants_no_pictures_asks_nobody(page: TestClient, shop: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SampleHome, "catalog", property(lambda _self: SETTINGS.model_copy(update={"pictures": False})))
    assert page.get("/pictures/nord:1").status_code == 404 and not shop.asked


def test_pages_show_a_box_with_letters_and_the_picture_over_it(page: TestClient) -> None:
    found = page.get("/p/p1", headers={"accept": "text/html"}).text
    assert '<img src="/pictures/nord:1" alt="" width="72" height="72" loading="lazy" decoding="async">' in found
    assert 'class="picture small" aria-hidden="true">KT<img' in found and "http://127.0.0.1" not in found
