"""Raw bytes of HTTP, for tests of what no client sends."""

import socket


def exchange(service, data, *, half_close=False):
    """Raw bytes, and what comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    return received


def head(method, path, *lines, version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode()


HOST = "Host: localhost"
CLOSE = "Connection: close"
