"""A TLS front before the simulator, with a certificate as a test wants it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.faults.hosts import LOOPBACK, attended


@dataclass(frozen=True)
class Front:
    """Where it listens, and the file of the authority that a client must trust."""

    port: int
    authority: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


@contextmanager
def tls_front(folder: Path, behind: int, *, name: str = "localhost", days: int = 30) -> Iterator[Front]:
    """Take TLS connections and pass them on to a port of this machine.

    :param folder: for the certificate.
    :param name: whose certificate it is.
    :param days: for how long it is valid from yesterday on; less than 1 for one that has run out.
    """
    authority, chain = _certificate(folder, name, days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with attended(lambda connection: _pass_on(connection, context, behind)) as port:
        yield Front(port, authority)


def _pass_on(connection: socket.socket, context: ssl.SSLContext, behind: int) -> None:
    with (
        context.wrap_socket(connection, server_side=True) as secure,
        closing(socket.create_connection((LOOPBACK, behind))) as plain,
    ):
        threading.Thread(target=_pump, args=(plain, secure), daemon=True).start()
        _pump(secure, plain)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _certificate(folder: Path, name: str, days: int) -> tuple[Path, Path]:
    """Write a self-signed certificate for a name, and the same with its key."""
    start, key = datetime.now(UTC) - timedelta(days=1), ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(start - timedelta(days=10))
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    authority, chain = folder / "authority.pem", folder / "chain.pem"
    authority.write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(private + authority.read_bytes())
    return authority, chain


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
