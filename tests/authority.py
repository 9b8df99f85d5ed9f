"""A timestamp authority on loopback: Debian's ``openssl ts`` behind HTTP, and nothing of pyHanko's."""

from __future__ import annotations

import datetime as dt
import functools
import http.server
import subprocess
import threading
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sync import seal_key

SETTINGS = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/time.crt.pem
signer_key = {folder}/time.key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


class Authority:
    """``url`` answers while ``is_silent`` is false; ``certificate`` is the root above it.

    ``asked`` counts the questions.  Use it in a ``with``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_silent = False
        self.asked = 0
        self._turn = threading.Lock()
        self._make_certificates(dt.datetime.now(dt.UTC))
        (folder / "serial").write_text("01\n")
        (folder / "settings.cnf").write_text(SETTINGS.format(folder=folder))

    def __enter__(self) -> Authority:
        handler = functools.partial(_Answer, self)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, question: bytes) -> bytes:
        """What openssl answers to a TimeStampReq."""
        with self._turn:
            self.asked += 1
            (self.folder / "question.tsq").write_bytes(question)
            subprocess.run(
                ["openssl", "ts", "-reply", "-config", "settings.cnf",
                 "-queryfile", "question.tsq", "-out", "answer.tsr"],
                cwd=self.folder, check=True, capture_output=True,
            )  # fmt: skip
            return (self.folder / "answer.tsr").read_bytes()

    def _make_certificates(self, now: dt.datetime) -> None:
        root = seal_key.make_root("Time", from_at=now)
        self.certificate = root.certificate
        (self.folder / "root.crt.pem").write_bytes(root.certificate_pem())
        private = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clock")]))
            .issuer_name(root.certificate.subject)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=900))
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
            )
            .sign(root.private, hashes.SHA256())
        )
        (self.folder / "time.crt.pem").write_bytes(seal_key.pem_of([certificate]))
        (self.folder / "time.key.pem").write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


class _Answer(http.server.BaseHTTPRequestHandler):
    def __init__(self, authority: Authority, *rest: Any) -> None:
        self.authority = authority
        super().__init__(*rest)

    def do_POST(self) -> None:
        question = self.rfile.read(int(self.headers["Content-Length"]))
        if self.authority.is_silent:
            self.send_error(503)
            return
        answer = self.authority.answer(question)
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
