"""Proofs of logging, `.tlog-proof` (C2SP tlog-proof)."""

from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import BridgeheadError, MalformedError, StaleError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.tlog.merkle import hash_leaf, inclusion_proof
from federation.protocol.tlog.proof import (
    MAX_PROOF_BYTES,
    TlogProof,
    format_hash_lines,
    format_proof,
    parse_proof,
    verify_proof,
)
from federation.protocol.tlog.quorum import parse_policy
from tests.protocol.tlog.golden import CHECKPOINT, COSIGN_TIME, LOG_VKEY, ORIGIN, PROOF, WITNESS_VKEY, entry, tree

POLICY = parse_policy(f"log {LOG_VKEY}\nwitness w {WITNESS_VKEY}\nquorum w\n".encode())
NO_WITNESS = parse_policy(f"log {LOG_VKEY}\nquorum none\n".encode())
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)
LEAF = hash_leaf(entry(4))


def verify(blob=PROOF, leaf=LEAF, policy=POLICY, origin=ORIGIN, not_after=COSIGN_TIME):
    """The golden verification with one thing changed."""
    return verify_proof(blob, leaf, origin=origin, policy=policy, not_after=not_after)


def test_format_proof_matches_golden_bytes():
    """The proof of entry 4 of 7 is the golden file."""
    proof = TlogProof(index=4, hashes=inclusion_proof(4, 7, tree(7).read), checkpoint=CHECKPOINT)

    assert format_proof(proof) == PROOF
    assert (len(PROOF), sha256(PROOF).hexdigest()) == (
        492,
        "6b3c63450905120aa91046d2f9d6a350f07b85b2917be51115a0f2b46050495f",
    )


def test_verify_proof_golden_verifies_with_index_and_cosigners():
    """What is returned is what was proved."""
    verified = verify()

    assert (verified.index, verified.leaf_hash, verified.cosigned.checkpoint.size) == (4, LEAF, 7)
    assert [line.cosign_time for line in verified.cosigned.cosignatures] == [COSIGN_TIME]


def test_verify_proof_log_line_alone_meets_quorum_none():
    """A receipt not settled yet is checked with a policy that demands no cosignature."""
    assert verify(policy=NO_WITNESS).cosigned.cosignatures == ()


@given(
    st.builds(
        TlogProof,
        index=st.integers(0, 2**63 - 1),
        hashes=HASHES,
        checkpoint=st.just(CHECKPOINT),
        extra=st.none() | st.binary(min_size=1, max_size=60),
    )
)
def test_proof_round_trips(proof):
    """Every lawful proof reads back as itself."""
    assert parse_proof(format_proof(proof)) == proof


def test_verify_proof_another_leaf_is_refused():
    """Entry 5 does not stand at index 4."""
    with pytest.raises(UntrustedError) as caught:
        verify(leaf=hash_leaf(entry(5)))

    assert caught.value.reason == "INCLUSION"


def test_verify_proof_quorum_missed_is_refused_before_inclusion():
    """The order of trust: cosignatures first, then the path."""
    blob = PROOF[: PROOF.rindex("\u2014".encode())]

    with pytest.raises(UntrustedError) as caught:
        verify(blob, leaf=bytes(32))
    assert caught.value.reason == "QUORUM"


def test_verify_proof_unknown_or_other_origin_is_refused():
    """The verifier names the log it expects; a policy with several logs does not choose for it."""
    other = parse_policy(
        f"log {LOG_VKEY}\nlog PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\nquorum none\n".encode()
    )

    for origin, reason in (("nobody.example", "LOG_UNKNOWN"), ("PeterNeumann", "ORIGIN")):
        with pytest.raises(UntrustedError) as caught:
            verify(policy=other, origin=origin)
        assert caught.value.reason == reason


def test_verify_proof_cosignature_from_the_future_is_stale():
    """A line later than the clock and its tolerance is refused."""
    with pytest.raises(StaleError):
        verify(not_after=COSIGN_TIME - timedelta(seconds=1))


def test_verify_proof_index_beyond_the_tree_is_malformed():
    """An index is below the size."""
    with pytest.raises(MalformedError) as caught:
        verify(PROOF.replace(b"index 4", b"index 7"))

    assert caught.value.reason == "LEAF_INDEX"


def test_verify_proof_extra_is_read_and_never_trusted():
    """The extra line changes nothing."""
    blob = format_proof(replace(parse_proof(PROOF), extra=b"anything"))

    assert verify(blob) == verify()


@given(st.integers(0, 8 * len(PROOF) - 1))
def test_verify_proof_any_flipped_bit_fails(bit):
    """No bit of a proof is free."""
    blob = bytearray(PROOF)
    blob[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BridgeheadError):
        verify(bytes(blob))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        PROOF[:-1],
        PROOF + b"\n",
        PROOF + b"x",
        b"\n" + PROOF,
        PROOF.replace(b"@v1", b"@v2"),
        PROOF.replace(b"index 4\n", b""),
        PROOF.replace(b"index 4\n", b"index 4\nindex 4\n"),
        PROOF.replace(b"index 4\n", b"index 04\n"),
        PROOF.replace(b"index 4\n", b"index  4\n"),
        PROOF.replace(b"index 4\n", b"index\n"),
        PROOF.replace(b"index 4\n", b"index 4 \n"),
        PROOF.replace(b"index 4\n", b"index 4\r\n"),
        PROOF.replace(b"index 4\n", b"index 4\nextra QQ==\n"),
        PROOF.replace(b"index 4\n", b"extra \nindex 4\n"),
        PROOF.replace(b"index 4\n", b"extra QQ=\nindex 4\n"),
        PROOF.replace(b"index 4\n", b"extra QQ==\nextra QQ==\nindex 4\n"),
        PROOF.replace(b"index 4\n", b"index 4\n\n"),
        PROOF.replace(b"hpNIo=\n", b"hpNIp=\n"),
        PROOF.replace(b"hpNIo=\n", b"hpNI\n"),
        PROOF.replace(b"index 4\n", b"index 4\n" + b"UzBPXj/UvNILOave8v4RgDHMWughe86gCN6n4nhpNIo=\n" * 61),
        PROOF.replace(b"\n\nlog", b"\nlog"),
        PROOF.split(b"\n\n")[0] + b"\n\n",
        PROOF.replace(b"\n7\n", b"\n7\nextension\n"),
        b"x" * (MAX_PROOF_BYTES + 1),
    ],
)
def test_verify_proof_other_form_is_refused(blob):
    """Nothing missing, nothing twice, nothing behind, every number and base64 canonical."""
    with pytest.raises(MalformedError):
        verify(blob)


@pytest.mark.parametrize(
    "proof",
    [
        TlogProof(index=-1, hashes=(), checkpoint=CHECKPOINT),
        TlogProof(index=0, hashes=(b"short",), checkpoint=CHECKPOINT),
        TlogProof(index=0, hashes=(bytes(32),) * 64, checkpoint=CHECKPOINT),
        TlogProof(index=0, hashes=(), checkpoint=b"no note"),
        TlogProof(index=0, hashes=(), checkpoint=CHECKPOINT, extra=b""),
    ],
)
def test_format_proof_impossible_value_is_refused(proof):
    """Nothing is written that would not be read."""
    with pytest.raises(MalformedError):
        format_proof(proof)


def test_format_hash_lines_is_one_line_a_hash():
    """Each line ends in LF."""
    assert format_hash_lines([bytes(32)] * 2).count("\n") == 2
