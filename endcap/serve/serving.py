"""Running the web application on loopback until it is stopped."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI

from endcap.ops import access
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate
from endcap.serve.log_lines import LOG_SETTINGS
from endcap.serve.telling import Telling
from endcap.serve.warming import Warming
from endcap.serve.watching import Watching

ADDRESS = "127.0.0.1"
# The longest address that the API declares: 60,000 characters of four bytes, each byte written as three, and two texts of 40,000 at /reconcile.
MOST_HEAD_BYTES = 1024 * 1024


def serve_home(home: Home, *, port: int, name: str, seconds: float = 0, say: Callable[[str], None], first: str = "", development: bool = False) -> None:
    """Serve a catalog on loopback; returns when it is stopped (Ctrl-C, or by itself after `seconds` where they are not 0).

    Port 0 takes a free one. `say` is told the address once it answers, with a link by which `name`, who started it, comes in once; the queue
    then begins with the question about the offer `first`, where it is named and still waits. In `development` there is a page of all components.
    Raises BadInput when the port is taken.
    """
    with _listening(port) as listening:
        address = f"http://{ADDRESS}:{listening.getsockname()[1]}"
        app = make_app(home, HomeGate(home), development=development)
        server = uvicorn.Server(config_of(app))
        begin = f"&first={quote(first)}" if first else ""
        say(f"open {address}/enter?once={access.make_link(home.engine, name, 'admin')}{begin}")
        say(f"the link works once, within 15 minutes; serving {address}/ and {address}/openapi.json (Ctrl-C stops it)")
        stop = threading.Timer(seconds, lambda: setattr(server, "should_exit", True))
        stop.daemon = True
        if seconds:
            stop.start()
        try:
            with Telling(home), Watching(home), Warming(app.state.readings):
                server.run(sockets=[listening])
        except KeyboardInterrupt:
            say("stopped")
        finally:
            stop.cancel()


def config_of(app: FastAPI) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app, http="h11", log_config=LOG_SETTINGS, log_level="warning", access_log=False, server_header=False, h11_max_incomplete_event_size=MOST_HEAD_BYTES
    )


def _listening(port: int) -> socket.socket:
    # Named TCP, which asyncio wants to see before it sends at once: else an answer's body waits for the client's word on its head, 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
    except OSError:
        listening.close()
        raise BadInput(f"port {port} is taken", where=ADDRESS, todo="name another with --port, or 0 for any free one") from None
    return listening
