"""Signing in by an OpenID provider, which is a real one on loopback with real keys: who comes in, as what, and all that is refused."""

from __future__ import annotations

import base64
import builtins
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from outside import Answer, Asked, Outside, outside
from sqlalchemy import Engine, select

from endcap import settings
from endcap.ops import access, oidc
from endcap.ops.access import Scope
from endcap.ops.database import open_database
from endcap.ops.tables import USERS
from endcap.problems import BadInput
from endcap.serve.app import make_app
from endcap.serve.gate import COOKIE, HomeGate
from endcap.serve.limits import Limits
from endcap.serve.sample_catalog import SampleHome
from endcap.serve.signing_in import LEFT, WANTED
from endcap.settings import Catalog

CLIENT, SECRET = "endcap at home", "a secret of: both"
KEYS = {name: RSAKey.generate_key(2048, {"kid": name}) for name in ("first", "second")}


class OpenId:
    """A provider: hands out codes for whom it is told, and id tokens for codes; `spoil` changes an id token's claims before it is signed."""

    def __init__(self, server: Outside) -> None:
        self.server, self.issuer = server, server.address
        self.claims: dict[str, Any] = {"sub": "u-1", "email": "rita@example.com", "email_verified": True, "groups": ["staff", "shelves"]}
        self.key, self.header, self.spoil = KEYS["first"], {"alg": "RS256", "kid": "first"}, dict[str, Any]()
        self.published, self.codes, self.described = [KEYS["first"]], dict[str, dict[str, str]](), dict[str, Any]()
        self.token: str | None = None
        server.answer = self.answer

    def authorize(self, address: str) -> dict[str, str]:
        """What the browser is sent back with."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code {len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def answer(self, asked: Asked) -> Answer:
        told: dict[str, Any] = {}
        path = urlsplit(asked.path).path
        if path == "/.well-known/openid-configuration":
            told = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys", **self.described}  # fmt: skip
        elif path == "/keys":
            told = {"keys": [one.as_dict(private=False) for one in self.published]}
        elif path == "/token":
            return self.exchange(asked)
        return 200 if told else 404, {"Content-Type": "application/json"}, json.dumps(told).encode()

    def exchange(self, asked: Asked) -> Answer:
        given = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        left = self.codes.pop(given["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        who = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
        good = left is not None and left["code_challenge"] == challenge and left["redirect_uri"] == given["redirect_uri"]
        if not good or left is None or who != "endcap+at+home:a+secret+of%3A+both":
            return 400, {}, b'{"error": "invalid_grant"}'
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": left["nonce"], **self.claims, **self.spoil}
        token = (
            self.token if self.token is not None else jwt.encode(self.header, {name: value for name, value in claims.items() if value is not None}, self.key)
        )
        return 200, {}, json.dumps({"access_token": "x", "token_type": "Bearer", "id_token": token, "padding": "x" * 5000}).encode()


class Place(SampleHome):
    """The sample catalog with an operational database and settings of its own."""

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        super().__init__()
        self.engine, self._catalog = engine, catalog

    @property
    def catalog(self) -> Catalog:
        return self._catalog

    def changes(self, *, at_once: bool = False) -> object:
        return None


class Door:
    """A served catalog, its provider, and a browser before it."""

    def __init__(self, provider: OpenId, engine: Engine, **more: Any) -> None:
        port = int(urlsplit(provider.issuer).port or 0)
        told = {
            "issuer": provider.issuer, "client_id": CLIENT, "secret_env": "PROVIDER_SECRET", "roles": {"shelves": "reviewer", "heads": "lead"}, "team": "home",
            **more,
        }  # fmt: skip
        allowed = [settings.Destination(network="127.0.0.1", ports=[port], purpose="sign-in")]
        catalog = SampleHome().catalog.model_copy(update={"oidc": settings.Oidc.model_validate(told), "allow_outgoing": allowed})
        self.provider, self.engine = provider, engine
        place = Place(engine, catalog)
        self.app = make_app(place, HomeGate(place), limits=Limits({"read": 1e9, "write": 1e9, "sign-in": 1e9}))  # type: ignore[arg-type]

    def browser(self) -> TestClient:
        return TestClient(self.app, base_url="http://localhost", follow_redirects=False)

    def come_in(self, browser: TestClient | None = None, **changed: str | None) -> Any:
        """Leave, be sent back (with something changed where that is said), and the answer."""
        browser = browser or self.browser()
        left = browser.get("/sign-in/provider")
        assert left.status_code == 303, left.text
        answer: dict[str, str | None] = {**self.provider.authorize(left.headers["location"]), **changed}
        return browser.get("/sign-in/return", params={name: value for name, value in answer.items() if value is not None})

    def users(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(USERS).order_by(USERS.c.name)).mappings()]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setenv("PROVIDER_SECRET", SECRET)
    engine = open_database(f"sqlite:///{tmp_path / 'ops.sqlite'}")
    with outside() as server:
        yield Door(OpenId(server), engine)
    engine.dispose()


# --- who comes in ---------------------------------------------------------------------------------------------------


def test_whom_the_provider_vouches_for_comes_in_with_the_role_of_their_claim(door: Door) -> None:
    browser = door.browser()
    assert "/sign-in/provider" in browser.get("/sign-in").text
    left = browser.get("/sign-in/provider")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(left.headers["location"]).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid profile email")
    assert asked["redirect_uri"] == "http://localhost/sign-in/return"
    cookie = left.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and asked["nonce"] != asked["state"]
    answer = browser.get("/sign-in/return", params=door.provider.authorize(left.headers["location"]))
    assert answer.status_code == 200 and 'http-equiv="refresh" content="0;url=/review"' in answer.text
    session = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE)).lower()
    assert "httponly" in session and "samesite=strict" in session
    assert browser.cookies.get(LEFT) is None, "what was kept is used once"
    assert browser.get("/api/v1/me").json() | {"snapshot": ""} == {"snapshot": "", "name": "rita@example.com", "role": "reviewer", "scopes": None}
    assert [(one["name"], one["role"], one["team"], one["password"]) for one in door.users()] == [("rita@example.com", "reviewer", "home", None)]


def test_the_provider_leads_on_to_the_page_that_was_asked_for(door: Door) -> None:
    browser = door.browser()
    for wanted, after in (("/p/P1?version=s1", "/p/P1?version=s1"), ("//evil.example", "/review")):
        left = browser.get("/sign-in/provider", params={"next": wanted}).headers["location"]
        answer = browser.get("/sign-in/return", params=door.provider.authorize(left))
        assert f'content="0;url={after}"' in answer.text and browser.cookies.get(WANTED) is None


def test_the_role_follows_the_claim_and_grants_hold(door: Door) -> None:
    door.come_in()
    access.grant(door.engine, "rita@example.com", Scope("reviewer", "nord"), actor="test")
    door.provider.claims["groups"] = ["heads", "shelves"]
    browser = door.browser()
    assert door.come_in(browser).status_code == 200 and door.users()[0]["role"] == "lead"
    assert browser.get("/api/v1/me").json()["scopes"] == ["reviewer of supplier nord"]


def test_a_changed_key_is_asked_for_again_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.come_in()
    monkeypatch.setattr(oidc, "AGAIN_S", -1.0)
    door.provider.key, door.provider.header, door.provider.published = KEYS["second"], {"alg": "RS256", "kid": "second"}, [KEYS["second"]]
    assert door.come_in().status_code == 200
    assert sum(one.path == "/keys" for one in door.provider.server.asked) == 2


# --- who does not ---------------------------------------------------------------------------------------------------


def unsigned(provider: OpenId, alg: str = "none") -> str:
    now = int(time.time())
    nonce = next(iter(provider.codes.values()))["nonce"] if provider.codes else ""
    claims = {"iss": provider.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce, **provider.claims}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in ({"alg": alg, "kid": "first"}, claims)]
    return ".".join([*parts, ""])


SPOILT: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "n"}, "no nonce": {"nonce": None}, "another audience": {"aud": "other"}, "no audience": {"aud": None},
    "an audience of several without whom it is for": {"aud": [CLIENT, "other"]}, "for another party": {"azp": "other"},
    "another issuer": {"iss": "https://other.example"}, "no issuer": {"iss": None}, "an issuer with a slash more": {"iss": "SLASH"},
    "expired": {"exp": 1_700_000_000}, "without an end": {"exp": None}, "an end that is a text": {"exp": "tomorrow"}, "of the future": {"iat": 4_000_000_000},
    "not valid yet": {"nbf": 4_000_000_000}, "without a subject": {"sub": None}, "a subject that is no text": {"sub": 7}, "without a name": {"email": None},
    "an address not verified": {"email_verified": False}, "a name that is a list": {"email": ["a"]}, "a name with a line feed": {"email": "a\nb"},
    "a name too long": {"email": "x" * 121}, "no groups": {"groups": None},
    "groups without a role": {"groups": ["staff"]}, "groups that are numbers": {"groups": [1]},
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_an_id_token_that_does_not_hold_lets_nobody_in(door: Door, what: str) -> None:
    door.provider.spoil = {name: f"{door.provider.issuer}/" if value == "SLASH" else value for name, value in SPOILT[what].items()}
    refused(door, door.come_in())


@pytest.mark.parametrize(
    "what", ["alg none", "the public key as a secret", "a key of nobody", "a known name over another key", "cut", "no token", "not a token"]
)
def test_a_signature_that_is_not_the_providers_lets_nobody_in(door: Door, what: str) -> None:
    provider, browser = door.provider, door.browser()
    left = browser.get("/sign-in/provider").headers["location"]
    back = provider.authorize(left)
    if what == "alg none":
        provider.token = unsigned(provider)
    elif what == "the public key as a secret":
        head, claims, _none = unsigned(provider, alg="HS256").split(".")
        made = hmac.new(KEYS["first"].as_pem(private=False), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        provider.token = f"{head}.{claims}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
    elif what == "a key of nobody":
        provider.key, provider.header = KEYS["second"], {"alg": "RS256", "kid": "second"}
    elif what == "a known name over another key":
        provider.key = KEYS["second"]
    else:
        provider.token = {"cut": "a.b", "no token": "", "not a token": "x" * 3000}[what]
    refused(door, browser.get("/sign-in/return", params=back))


@pytest.mark.parametrize("changed", [
    {"state": "another"}, {"state": None}, {"iss": "https://other.example"}, {"code": None}, {"code": "code 99"}, {"code": None, "error": "access_denied"},
])  # fmt: skip
def test_what_the_browser_brings_back_must_fit_what_it_left_with(door: Door, changed: dict[str, str | None]) -> None:
    refused(door, door.come_in(**changed))


def test_another_browser_cannot_use_what_one_was_sent_back_with(door: Door) -> None:
    back = door.provider.authorize(door.browser().get("/sign-in/provider").headers["location"])
    refused(door, door.browser().get("/sign-in/return", params=back))
    other = door.browser()
    other.get("/sign-in/provider")
    refused(door, other.get("/sign-in/return", params=back))


def test_what_was_sent_back_works_once(door: Door) -> None:
    browser = door.browser()
    left = browser.get("/sign-in/provider")
    kept, back = browser.cookies[LEFT], door.provider.authorize(left.headers["location"])
    assert browser.get("/sign-in/return", params=back).status_code == 200
    again = door.browser()
    again.cookies.set(LEFT, kept)
    assert again.get("/sign-in/return", params=back).status_code == 401 and again.get("/api/v1/me").status_code == 401


def test_a_code_without_the_text_that_its_browser_kept_is_worth_nothing(door: Door) -> None:
    browser = door.browser()
    left = browser.get("/sign-in/provider")
    state, nonce, _verifier = browser.cookies[LEFT].split(".")
    other = door.browser()
    other.cookies.set(LEFT, f"{state}.{nonce}.guessed")
    refused(door, other.get("/sign-in/return", params=door.provider.authorize(left.headers["location"])))


def test_a_name_belongs_to_whom_it_was_first_given(door: Door) -> None:
    access.add_user(door.engine, "rita@example.com", "viewer", team="", password="a long enough password", actor="test")
    assert door.come_in().status_code == 401, "one with a password is another"
    door.provider.claims |= {"email": "rosa@example.com", "sub": "u-2"}
    assert door.come_in().status_code == 200
    door.provider.claims["sub"] = "u-3"
    assert door.come_in().status_code == 401, "the name came back for somebody else"
    access.add_user(door.engine, "resi@example.com", "viewer", team="later", password=None, actor="test")
    door.provider.claims |= {"email": "resi@example.com"}
    assert door.come_in().status_code == 200 and {one["name"]: one["team"] for one in door.users()}["resi@example.com"] == "later"


@pytest.mark.parametrize("described", [
    {"issuer": "https://other.example"}, {"token_endpoint": "ftp://x"}, {"authorization_endpoint": None}, {"authorization_endpoint": "javascript:alert(1)"},
    {"jwks_uri": "http://169.254.169.254/"}, {"token_endpoint": "http://10.0.0.1/token"},
])  # fmt: skip
def test_a_description_that_leads_elsewhere_is_refused_before_anybody_is_asked(door: Door, described: dict[str, Any]) -> None:
    door.provider.described = described
    browser = door.browser()
    left = browser.get("/sign-in/provider")
    if left.status_code == 303:
        left = browser.get("/sign-in/return", params=door.provider.authorize(left.headers["location"]))
    assert left.status_code in (401, 503) and door.users() == []


def test_a_provider_outside_the_allow_list_is_never_asked(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ops.sqlite'}")
    with outside() as server, outside() as other:
        door = Door(OpenId(other), engine, issuer=server.address)
        assert door.browser().get("/sign-in/provider").status_code == 503 and server.asked == []
    engine.dispose()


def test_without_a_provider_there_is_no_such_door_and_without_the_library_one_sentence(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Place(door.engine, SampleHome().catalog)
    browser = TestClient(make_app(plain, HomeGate(plain)), base_url="http://localhost")  # type: ignore[arg-type]
    assert browser.get("/sign-in/provider").status_code == 404 and "/sign-in/provider" not in browser.get("/sign-in").text
    real = builtins.__import__

    def missing(name: str, *given: Any, **named: Any) -> Any:
        if name == "joserfc":
            raise ImportError(name)
        return real(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(BadInput, match=r"install endcap\[oidc\]"):
        oidc.provider_of(door.app.state.home.catalog)


def test_without_its_secret_nobody_comes_in_and_the_secret_is_in_no_answer(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer = door.come_in(code="code 99")
    assert SECRET not in answer.text + caplog.text and "code 99" not in caplog.text
    monkeypatch.delenv("PROVIDER_SECRET")
    refused(door, door.come_in())


def refused(door: Door, answer: Any) -> None:
    assert answer.status_code == 401 and "did not vouch" in answer.text
    assert not any(one.startswith(COOKIE) for one in answer.headers.get_list("set-cookie")) and door.users() == []


def test_the_providers_keys_are_real() -> None:
    token = jwt.encode({"alg": "RS256", "kid": "first"}, {"a": 1}, KEYS["first"])
    assert jwt.decode(token, KeySet([KEYS["first"]])).claims == {"a": 1}
