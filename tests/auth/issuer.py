"""A real OpenID Connect issuer on the loopback address: a discovery document, a key set, and
tokens signed with real keys.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import Key, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "course-management"


class Issuer:
    """Serves until `stop`; `asked` lists the requested paths."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})]
        self.elsewhere = ""  # if set, requests are redirected to this address
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start to listen, on the same port as before if it has listened before."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                body = json.dumps(issuer.documents().get(self.path)).encode()
                self.send_response(302 if issuer.elsewhere else 200)
                if issuer.elsewhere:
                    self.send_header("Location", issuer.elsewhere + self.path)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening: the issuer is not reachable."""
        self.server.shutdown()
        self.server.server_close()

    def documents(self) -> dict[str, Any]:
        """The documents that it serves, by path."""
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {
                "keys": [{"kty": "unheard-of"}, *(key.as_dict(private=False) for key in self.keys)]
            },
        }

    def token(
        self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A valid token, except for the given claims; a claim that is None is left out."""
        key, now = key or self.keys[0], int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "u-1",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
        }
        given = {name: value for name, value in (usual | claims).items() if value is not None}
        header = {"alg": "RS256", "kid": key.kid} | (header or {})
        registry = JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jws.serialize_compact(header, json.dumps(given), key, registry=registry)
