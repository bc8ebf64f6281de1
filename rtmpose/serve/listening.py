"""Where the service listens: a port of TCP, or a Unix socket, and the files of TLS."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from contextlib import suppress
from pathlib import Path

from rtmpose.errors import InputError, OutputError
from rtmpose.serve.settings import ServeSettings

SOCKET_MODE = 0o660
"""Owner and group may connect; a proxy runs as somebody else."""
CONNECT_S = 2.0
"""A program that listens takes a connection at once."""


class UnixSocket:
    """A Unix socket that listens. Its file goes away with it.

    Args:
        path: Its file. One that nobody listens on any more is replaced.

    Attributes:
        socket: The socket.

    Raises:
        InputError: this system has no Unix sockets.
        OutputError: the file is no socket, somebody listens on it, or it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise InputError("--uds: this system has no Unix sockets")
        # Also after a change of the working folder.
        self._path = path.absolute()
        _remove_stale(self._path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nobody may connect before the mode is set.
            before = os.umask(0o177)
            try:
                self.socket.bind(str(self._path))
            finally:
                os.umask(before)
            self._made = _identity(self._path)
            self._path.chmod(SOCKET_MODE)
        except OSError as error:
            self.socket.close()
            raise OutputError(
                f"{path} cannot be listened on: {error.strerror or error}; choose another --uds"
            ) from error

    def remove(self) -> None:
        """Close the socket and remove its file, unless another program has put its own there."""
        self.socket.close()
        with suppress(OSError):
            if _identity(self._path) == self._made:
                self._path.unlink()


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to a port.

    Args:
        host: Address or name of this machine.
        port: 0 takes a free one.

    Raises:
        InputError: the host is no address of this machine.
        OutputError: the port is in use, or not ours to use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host} is no address of this machine: {error}") from error
    # With the protocol named: asyncio sends small answers at once on such sockets only, and lets
    # others wait for the client to confirm what came before, for up to 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"{host}:{port} cannot be listened on: {error.strerror}; choose another --port"
        ) from error
    listener.set_inheritable(True)
    return listener


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """What encrypts the traffic.

    Args:
        cert: PEM: the certificate of the service, then those that lead to its authority.
        key: PEM: its private key, without a password.

    Raises:
        InputError: a file cannot be read, is something else, or they do not belong together.
    """
    for path in (cert, key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        raise InputError(_tls_fault(cert, key, error)) from error
    return context


def tls_of(settings: ServeSettings) -> ssl.SSLContext | None:
    """What encrypts the traffic; None for nothing.

    Raises:
        InputError: the files cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return tls_context(settings.tls_cert, settings.tls_key)


def _no_password() -> str:
    # Else OpenSSL asks on the terminal, which a service does not have.
    raise InputError("the private key of --tls-key has a password: write it without one")


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _tls_fault(cert: Path, key: Path, error: ssl.SSLError) -> str:
    """What is wrong with the two files, in words."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the private key {key} does not belong to the certificate {cert}"
    certificate, private = _has_pem(cert, b"CERTIFICATE"), _has_pem(key, b"PRIVATE KEY")
    if not certificate and not private and _has_pem(key, b"CERTIFICATE"):
        return "--tls-cert and --tls-key are the wrong way round"
    if not certificate:
        return f"{cert} is no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    if not private:
        return f"{key} is no private key in PEM (-----BEGIN PRIVATE KEY-----)"
    return f"{cert} and {key} cannot be used for TLS: {error.reason or error}"


def _has_pem(path: Path, kind: bytes) -> bool:
    return kind + b"-----" in path.read_bytes()


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; anything else stays.

    Raises:
        OutputError: there is something else, or somebody listens.
    """
    try:
        about = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path} cannot be looked at: {error.strerror or error}") from error
    if not stat.S_ISSOCK(about.st_mode):
        raise OutputError(f"{path} is no socket; it stays as it is: choose another --uds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            pass  # nobody listens
        except OSError as error:
            raise OutputError(
                f"{path} is a socket that may be in use: {error.strerror or error};"
                " choose another --uds"
            ) from error
        else:
            raise OutputError(f"another program listens on {path}; choose another --uds")
    with suppress(FileNotFoundError):
        path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    about = path.lstat()
    return about.st_dev, about.st_ino
