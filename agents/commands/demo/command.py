"""The command `handlatent demo`: serve a page to look and play, until Ctrl-C."""

import errno
import os
import socket
import webbrowser
from contextlib import suppress
from ipaddress import ip_address
from types import ModuleType

from agents.commands.demo.args import DemoArgs, check_args
from agents.commands.demo.weights import Weights
from vae.extras import needing_extra

GRACE = 2  # seconds that a running job has to end after Ctrl-C


def demo(args: DemoArgs) -> str:
    """Serve the page.

    Args:
        args: Settings.

    Returns:
        What to print when the page is closed.

    Raises:
        ImportError: If the extra `demo` is not installed.
        ValueError: If the port is out of range, or the run cannot be read.
        OSError: If the address cannot be used.
    """
    check_args(args)
    server = import_server()
    weights = Weights(args.run, args.weights)
    with open_socket(args.host, args.port) as listening:
        address = url(args.host, listening.getsockname()[1])
        if not is_loopback(args.host):
            print(f"The page is open to the network: everybody who reaches {args.host} can use it, without a password.")
        print(f"Open {address} in a browser. Ctrl-C closes the page.", flush=True)
        if args.browser:
            webbrowser.open_new_tab(address)
        with suppress(KeyboardInterrupt):
            server.serve(listening, server.make_app(weights, args.host), GRACE)
    return "The page is closed."


def import_server() -> ModuleType:
    """Import the module that serves the page.

    Raises:
        ImportError: If the extra `demo` is not installed.
    """
    with needing_extra("demo", "The page"):
        from agents.commands.demo import server
    return server


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        OSError: If the address cannot be used: another program has the port, or it is not this computer's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        wrong_host = isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL
        raise OSError(
            f"--host {host!r} and --port {port} cannot be used ({reason}). Name "
            + ("an address of this computer." if wrong_host else "another port, or 0 for any free one.")
        ) from error


def url(host: str, port: int) -> str:
    """Return the page's address, as a browser takes it: "0.0.0.0" is all addresses, and a browser needs one."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}/" if ":" in reached else f"http://{reached}:{port}/"


def is_loopback(host: str) -> bool:
    """Return whether an address reaches this computer only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
