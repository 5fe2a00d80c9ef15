"""Certificates on disk: only ECDSA P-256, only pairs, and the last good pair while files are being replaced."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from federation.protocol.errors import MalformedError, NotFoundError
from federation.wire.tls import WatchedTls, load_tls_pair
from tests.wire.certificates import Authority, ed25519_key


@pytest.fixture(scope="module")
def authority():
    return Authority("zhejiang")


@pytest.mark.parametrize(
    "key",
    [ed25519_key(), ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["ed25519", "p384", "rsa"],
)
def test_key_that_is_not_p256_is_refused(tmp_path, authority, key):
    """The TLS of gRPC refuses Ed25519 in the handshake, without a word why: we say it at start."""
    with pytest.raises(MalformedError, match="TLS_KEY"):
        load_tls_pair(authority.node("zhejiang", key=key).write(tmp_path, "a"))


def test_certificate_with_another_key_is_refused(tmp_path, authority):
    """The two files belong together."""
    files = authority.node("zhejiang").write(tmp_path, "a")
    files.key.write_bytes(authority.node("zhejiang").key)
    with pytest.raises(MalformedError, match="TLS_PAIR"):
        load_tls_pair(files)


@pytest.mark.parametrize("garbage", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_file_that_is_no_pem_is_refused(tmp_path, authority, garbage):
    """Garbage is told as garbage, not as a crash of a library."""
    files = authority.node("zhejiang").write(tmp_path, "a")
    files.certificate.write_bytes(garbage)
    with pytest.raises(MalformedError, match="TLS_PAIR"):
        load_tls_pair(files)


def test_missing_file_is_told(tmp_path, authority):
    """The error names the files."""
    files = authority.node("zhejiang").write(tmp_path, "a")
    files.key.unlink()
    with pytest.raises(NotFoundError, match="TLS_FILE"):
        WatchedTls(files)


def test_watched_pair_changes_with_its_files_and_only_then(tmp_path, authority):
    """The same object while nothing changed; the new pair once both files are there."""
    files = authority.node("zhejiang").write(tmp_path, "a")
    watched = WatchedTls(files)
    first = watched.current()
    assert watched.current() is first

    new = authority.node("zhejiang")
    new.write(tmp_path, "a")

    assert watched.current().certificate == new.certificate


def test_watched_pair_half_replaced_or_gone_keeps_the_last_good_one(tmp_path, authority):
    """A pair that does not belong together, or a file that is away for a moment, is passed over."""
    files = authority.node("zhejiang").write(tmp_path, "a")
    watched = WatchedTls(files)
    first, new = watched.current(), authority.node("zhejiang")

    files.certificate.write_bytes(new.certificate)
    assert watched.current() is first
    files.key.unlink()
    assert watched.current() is first
    files.key.write_bytes(new.key)
    assert watched.current().key == new.key
