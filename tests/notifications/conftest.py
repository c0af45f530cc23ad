"""A real receiver of mail on the loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mlops.settings import Settings, load_settings


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[..., Settings]:
    """Return a maker of settings with channels."""

    def of(**notifications: Any) -> Settings:
        named = {f"notifications.{name}": value for name, value in notifications.items()}
        return load_settings(
            {"home": tmp_path / "home", "notifications.timeout_seconds": 30, **named}
        )

    return of


@dataclass
class MailReceiver:
    """The part of SMTP (RFC 5321, 4954, 3207) that sending one mail takes.

    Attributes:
        logins: User and password of each login.
        mails: What arrived, with the envelope's recipients and whether it was encrypted.
        refused: Recipients it does not know.
        password: The only one it takes; None: it asks for none.
        tls: To offer STARTTLS with.
        wrapped: Whether the connection is encrypted from its first byte.
        silent: It never says a word.
    """

    port: int = 0
    logins: list[tuple[str, str]] = field(default_factory=list)
    mails: list[tuple[EmailMessage, list[str], bool]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    password: str | None = None
    tls: ssl.SSLContext | None = None
    wrapped: bool = False
    silent: bool = False
    release: threading.Event = field(default_factory=threading.Event)

    def converse(self, connection: Any) -> None:
        encrypted = self.wrapped
        if self.wrapped:
            assert self.tls
            connection = self.tls.wrap_socket(connection, server_side=True)
        if self.silent:
            self.release.wait(120)
            return
        stream = connection.makefile("rwb")

        def say(line: str) -> None:
            stream.write(line.encode() + b"\r\n")
            stream.flush()

        recipients: list[str] = []
        say("220 here")
        while line := stream.readline().decode().strip():
            verb = line.upper().partition(" ")[0]
            if verb == "EHLO":
                say("250-here")
                if self.tls and not encrypted:
                    say("250-STARTTLS")
                say("250 AUTH PLAIN" if self.password else "250 8BITMIME")
            elif verb == "STARTTLS":
                assert self.tls
                say("220 go")
                connection = self.tls.wrap_socket(connection, server_side=True)
                stream, encrypted = connection.makefile("rwb"), True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                self.logins.append((user, password))
                say("235 yes" if password == self.password else f"535 no, {password} is wrong")
            elif verb == "RCPT":
                address = line.partition("<")[2].rstrip(">")
                known = address not in self.refused
                recipients += [address] * known
                say("250 yes" if known else "550 no such person")
            elif verb == "DATA":
                say("354 go on")
                content = b"".join(iter(stream.readline, b".\r\n"))
                mail = message_from_bytes(content, policy=policy.default)
                assert isinstance(mail, EmailMessage)
                self.mails.append((mail, recipients, encrypted))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 yes")


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    """Return a running receiver of mail."""
    receiver = MailReceiver()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # who sends has hung up
                receiver.converse(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield receiver
        receiver.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a self-signed certificate for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(pem)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """Return the server's side of an encrypted connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
