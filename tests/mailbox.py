"""A real mail server on the loopback interface, as ill-tempered as a test wants it."""

from __future__ import annotations

import datetime as dt
import email.policy
import ipaddress
import socket
import ssl
from contextlib import contextmanager
from email.parser import BytesParser

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USER, PASSWORD = "copies", "swans: 7% @ rest"


class Mailbox:
    """What came in, letter by letter, and what it answers to whom.

    ``refusals`` are answers to recipients, ``after_data`` the answer to a whole letter.
    """

    def __init__(self):
        self.letters = []
        self.refusals = {}
        self.after_data = "250 OK"
        self.was_safe = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.after_data.startswith("250"):
            letter = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
            self.letters.append((envelope.mail_from, envelope.rcpt_tos, letter))
            safe = server.transport.get_extra_info("sslcontext") is not None
            self.was_safe.append(safe)
        return self.after_data

    def check(self, server, session, envelope, mechanism, told):
        """Whether somebody may hand letters in here."""
        known = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=told == known, handled=False)


def free_port():
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


@contextmanager
def listening(mailbox, certificate=None, security="starttls", *, port=0, signs_in=False):
    """The port on which ``mailbox`` is open; ``certificate`` is (file, key file)."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    more = {"auth_required": True, "authenticator": mailbox.check} if signs_in else {}
    if security == "starttls":
        more |= {"tls_context": context, "require_starttls": context is not None}
    else:
        more |= {"ssl_context": context}
    controller = Controller(mailbox, hostname=HOST, port=port or free_port(), **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def make_certificate(folder, name="mail"):
    """(file, key file) of a new certificate for HOST that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt.pem", folder / f"{name}.key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
