"""A network with a proxy and an authority of its own: built-in addresses, TLS, a real CONNECT proxy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudsandbox.dropbox import DropboxSandbox
from cloudsandbox.tls import Authority
from daemon.cli import trust
from daemon.failure import BadSettings
from tests.interop.rclone.proxy import Proxy

ROOT_DIRECTORY = Path(__file__).parents[3]
HOSTS = ("api.dropboxapi.com", "content.dropboxapi.com", "notify.dropboxapi.com")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def sandbox(authority: Authority) -> Iterator[DropboxSandbox]:
    with DropboxSandbox(token="sandbox", authority=authority, names=HOSTS) as running:
        yield running


@pytest.fixture
def proxy(sandbox: DropboxSandbox) -> Iterator[Proxy]:
    port = int(sandbox.base_url.rpartition(":")[2])
    with Proxy(dict.fromkeys(HOSTS, port)) as running:
        yield running


@pytest.fixture
def authority_file(authority: Authority, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.write(path)
    return str(path)


def login(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Signs in at the addresses that are built in, with a refresh token that is at hand."""
    token = folder / "token"
    token.write_text("sandbox-refresh")
    order = [sys.executable, "-m", "daemon.cli", "--config", str(folder / "config" / "m.toml"), "login"]
    order += ["work", "--service", "dropbox", "--app-key", "sandbox-app", "--token-file", str(token)]
    base = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT_DIRECTORY)}
    return subprocess.run(
        order, capture_output=True, text=True, env={**base, **environ}, timeout=60, check=False
    )


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_proxy_and_an_authority_of_the_environment_are_honoured(
    proxy: Proxy, authority_file: str, tmp_path: Path, name: str
) -> None:
    done = login(tmp_path, HTTPS_PROXY=proxy.url, **{name: authority_file})
    assert done.returncode == 0, done.stderr
    assert "work: signed in as Sandy Box" in done.stdout
    assert proxy.refused == []


def test_a_folder_of_authorities_is_honoured(proxy: Proxy, authority_file: str, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    hashed = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", authority_file],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / f"{hashed.stdout.strip()}.0").write_text(Path(authority_file).read_text())
    done = login(tmp_path, HTTPS_PROXY=proxy.url, SSL_CERT_DIR=str(folder))
    assert done.returncode == 0, done.stderr


def test_what_the_proxy_refuses_is_told_with_its_name(authority_file: str, tmp_path: Path) -> None:
    with Proxy({}) as proxy:
        named = proxy.url.replace("http://", "http://somebody:sesame@")
        done = login(tmp_path, HTTPS_PROXY=named, SSL_CERT_FILE=authority_file)
    shown = proxy.url.replace("http://", "http://***@")
    told = f"mountfs: the proxy {shown} on the way to api.dropboxapi.com fails: "
    assert (done.returncode, done.stderr) == (1, f"{told}Tunnel connection failed: 403 Forbidden\n")


def test_an_authority_that_is_not_known_is_told_with_what_to_do(proxy: Proxy, tmp_path: Path) -> None:
    done = login(tmp_path, HTTPS_PROXY=proxy.url)
    assert done.returncode == 1
    assert f"mountfs: api.dropboxapi.com (through the proxy {proxy.url}) does not answer: " in done.stderr
    assert "if your network has an authority of its own, name its file in SSL_CERT_FILE" in done.stderr


def test_a_file_that_is_none_is_not_taken_for_a_service_that_is_away(proxy: Proxy, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path, told in ((tmp_path / "absent", "No such file or directory"), (empty, "holds no certificate")):
        done = login(tmp_path, HTTPS_PROXY=proxy.url, SSL_CERT_FILE=str(path))
        assert done.returncode == 2
        assert done.stderr.startswith(f"mountfs: SSL_CERT_FILE={path}: {told}")


def test_what_the_library_heeds_goes_before_what_openssl_does(authority_file: str, tmp_path: Path) -> None:
    environ = {"SSL_CERT_FILE": authority_file}
    trust.heed(environ)
    assert environ["REQUESTS_CA_BUNDLE"] == authority_file
    environ = {"SSL_CERT_FILE": "/absent", "CURL_CA_BUNDLE": authority_file}
    trust.heed(environ)
    assert "REQUESTS_CA_BUNDLE" not in environ
    with pytest.raises(BadSettings, match="REQUESTS_CA_BUNDLE=/absent: No such file"):
        trust.heed({"SSL_CERT_FILE": authority_file, "REQUESTS_CA_BUNDLE": "/absent"})
    trust.heed({})
