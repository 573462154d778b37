"""A private certificate authority, and a server certificate for 127.0.0.1."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

# RSA with 2,048 bits. The client verifies signatures, which costs it less with RSA than with ECDSA.
KEY = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
EXTENSIONS = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"


class Certificates:
    """Creates the files in a folder."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise SystemExit("openssl is needed to create certificates: install the package openssl")
        self.folder, self.authority = folder, folder / "ca.pem"
        (folder / "extensions").write_text(EXTENSIONS)
        openssl(folder, "req", "-x509", *KEY, "-subj", "/CN=benchmark", "-keyout", "ca.key", "-out", "ca.pem")
        openssl(folder, "req", *KEY[:3], "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions", "-days", "2"]
        openssl(folder, "x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem")

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem", self.folder / "server.key")
        return context


def openssl(folder: Path, *arguments: str) -> None:
    result = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"openssl {arguments[0]}: {result.stderr}")
