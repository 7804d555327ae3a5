"""A server process behind a TLS endpoint, with a certificate for localhost of nobody's authority."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import answers, free_port
from tools.testing.processes import ROOT


@contextmanager
def tls_server(
    folder: Path, command: tuple[str, ...] = ("manage.py", "serve", "--endpoint"), **environment: str
) -> Iterator[tuple[Part, ssl.SSLContext]]:
    """A server process and what its clients trust. `command` ends where the endpoint belongs."""
    key, certificate = make_certificate(folder)
    port = free_port()
    endpoint = f"ssl:{port}:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
    part = Part(
        "web over TLS",
        [sys.executable, *command, endpoint],
        port=port,
        probe=partial(answers, port),
        env=os.environ | environment,
        cwd=ROOT,
    )
    with part.serving():
        yield part, ssl.create_default_context(cafile=certificate)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """(key file, certificate file), good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files
