"""Signing in by an OpenID provider: authorization code with PKCE, state and nonce; the id token's signature and claims are verified (extra `oidc`).

What the browser keeps between leaving and coming back is one short-lived cookie: three random texts, of which the provider is shown the state,
the nonce and a hash of the third. The provider is asked through the pinned fetcher, at addresses that the settings allow.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Engine

from endcap.ops import access
from endcap.ops.fetching import Fetcher
from endcap.ops.scopes import ROLES
from endcap.problems import BadInput, Problem
from endcap.settings import Catalog, Oidc

LOG = logging.getLogger("endcap.ops.oidc")
# Signatures by keys that the provider alone has; none without a key, none by a secret that both know.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
MOST_BYTES, LEEWAY_S, KNOWN_S, AGAIN_S = 256 * 1024, 30, 600.0, 10.0


class Refused(Problem):
    """Nobody is signed in; the words are for the log, not for the person before the browser."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A browser that goes to the provider: where to, and what it keeps meanwhile."""

    address: str
    kept: str


class Provider:
    """The OpenID provider of the settings. Its description and keys are asked for when they are needed first, and again after ten minutes."""

    def __init__(self, given: Oidc, fetcher: Fetcher) -> None:
        try:
            import joserfc  # noqa: F401
        except ImportError:
            raise BadInput("the settings name an OpenID provider", where="oidc", todo="install endcap[oidc]") from None
        self.settings, self._fetcher, self._lock = given, fetcher, threading.Lock()
        self._told: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, dict[str, Any]] | None = None

    def leave(self, back: str) -> Leaving:
        """Where to send a browser that shall come back to the address `back`. Raises Problem where the provider cannot be asked."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _text in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        scope = " ".join(dict.fromkeys(["openid", *self.settings.ask]))
        asked = {
            "response_type": "code", "client_id": self.settings.client_id, "redirect_uri": back, "scope": scope,
            "state": state, "nonce": nonce, "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        address = self._address("authorization_endpoint")
        return Leaving(f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", f"{state}.{nonce}.{verifier}")

    def come_back(self, engine: Engine, kept: str, answer: Mapping[str, str], back: str) -> str:
        """A session's secret for what the provider sent the browser back with. Raises Problem where anything of it does not hold."""
        parts = kept.split(".")
        if len(parts) != 3 or not all(parts) or not secrets.compare_digest(parts[0].encode(), answer.get("state", "").encode()):
            raise Refused("the state is not the one this browser left with", where="oidc")
        if "iss" in answer and answer["iss"] != self.settings.issuer:
            raise Refused("another provider sent this browser back", where="oidc")
        if "code" not in answer:
            raise Refused(f"the provider refused: {answer.get('error', 'no code')[:80]!r}", where="oidc")
        claims = self._verified(self._token(answer["code"], parts[2], back), parts[1])
        name, role = self._person(claims)
        return access.sign_in_outside(engine, name, role, subject=f"{self.settings.issuer} {claims['sub']}", team=self.settings.team)

    def _token(self, code: str, verifier: str, back: str) -> str:
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": self.settings.client_id, "code_verifier": verifier}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.settings.secret_env is not None:
            secret = os.environ.get(self.settings.secret_env)
            if not secret:
                raise BadInput(f"the environment has no {self.settings.secret_env}", where="oidc.secret_env", todo="set it where `endcap serve` is started")
            both = urlencode({self.settings.client_id: secret}).replace("=", ":", 1)  # each written as in a form (RFC 6749, 2.3.1)
            headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
        answer = self._fetcher.post(self._address("token_endpoint"), urlencode(given).encode(), headers, most_bytes=MOST_BYTES)
        token = _object(answer.body).get("id_token") if answer.status == 200 else None
        if not isinstance(token, str):
            raise Refused(f"the provider gave no id token, but status {answer.status}", where="oidc")
        return token

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id token whose signature, issuer, audience, times and nonce hold (OpenID Connect Core, 3.1.3.7)."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        wanted = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S, iss={"essential": True, "value": self.settings.issuer}, aud={"essential": True, "value": self.settings.client_id},
            exp={"essential": True}, iat={"essential": True}, sub={"essential": True}, nonce={"essential": True, "value": nonce},
        )  # fmt: skip
        try:
            try:
                claims = jwt.decode(token, self._key_set(), list(ALGORITHMS)).claims
            except (InvalidKeyIdError, ValueError):  # the provider has changed its keys
                claims = jwt.decode(token, self._key_set(again=True), list(ALGORITHMS)).claims
            wanted.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Refused(f"the id token does not hold: {type(error).__name__} {' '.join(str(error).split())[:120]}", where="oidc") from None
        audience = claims["aud"]
        if ((isinstance(audience, list) and len(audience) > 1) or "azp" in claims) and claims.get("azp") != self.settings.client_id:
            raise Refused("the id token was made for another program", where="oidc")
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise Refused("the id token names nobody", where="oidc")
        return dict(claims)

    def _person(self, claims: Mapping[str, Any]) -> tuple[str, str]:
        """(name, role) of the one whom the claims tell of."""
        given = self.settings
        name, told = claims.get(given.name_claim), claims.get(given.role_claim)
        if not isinstance(name, str) or (given.name_claim == "email" and claims.get("email_verified") is False):
            raise Refused(f"the claim {given.name_claim} names nobody for certain", where="oidc")
        groups = told if isinstance(told, list) else [told]
        roles = [given.roles[one] for one in groups if isinstance(one, str) and one in given.roles]
        if not roles:
            raise Refused(f"no value of the claim {given.role_claim} has a role", where="oidc.roles")
        return name, max(roles, key=ROLES.index)

    def _address(self, name: str) -> str:
        address = self._description().get(name)
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", urlsplit(self.settings.issuer).scheme):
            raise Refused(f"the provider's description holds no {name} that is as safe as the issuer", where="oidc.issuer")
        return address

    def _description(self) -> dict[str, Any]:
        with self._lock:
            if self._told is None or time.monotonic() - self._told[0] > KNOWN_S:
                answer = self._fetcher.get(
                    f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration", most_bytes=MOST_BYTES, accept="application/json"
                )
                told = _object(answer.body) if answer.status == 200 else {}
                if told.get("issuer") != self.settings.issuer:
                    raise Refused("the provider's description is not that of the issuer", where="oidc.issuer", todo="write the issuer as it calls itself")
                self._told = (time.monotonic(), told)
            return self._told[1]

    def _key_set(self, *, again: bool = False) -> Any:
        from joserfc.jwk import KeySet

        address = self._address("jwks_uri")
        with self._lock:
            age = time.monotonic() - self._keys[0] if self._keys else None
            if age is None or age > KNOWN_S or (again and age > AGAIN_S):  # tokens with keys of nobody do not make us ask all the time
                answer = self._fetcher.get(address, most_bytes=MOST_BYTES, accept="application/json")
                if answer.status != 200:
                    raise Refused(f"the provider's keys are not there: status {answer.status}", where="oidc")
                self._keys = (time.monotonic(), _object(answer.body))
            assert self._keys is not None
            return KeySet.import_key_set(self._keys[1])  # type: ignore[arg-type]


def provider_of(catalog: Catalog) -> Provider | None:
    """The provider of the settings; None where they name none. Raises BadInput where what it needs is not installed."""
    if catalog.oidc is None:
        return None
    return Provider(catalog.oidc, Fetcher([one for one in catalog.allow_outgoing if one.purpose == "sign-in"]))


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("the provider's answer is no JSON object", where="oidc")
    return found
