"""The owner's whole permit as stored bytes."""

from datetime import date

import pytest

from federation.cli.demo.synthetic import synthetic_permits
from federation.domain.division import NODES
from federation.domain.permits import (
    PermitStatus,
    RevokeReason,
    decode_permit,
    encode_permit,
    format_permit_urn,
    revoke_permit,
)
from federation.protocol.errors import CorruptError
from federation.protocol.form import replace


@pytest.mark.parametrize("node", NODES)
def test_stored_permit_reads_back_equal(node):
    """Every field survives, endorsements, guardian and seal included."""
    for permit in synthetic_permits(node, 150, seed=11, today=date(2026, 11, 23)):
        assert decode_permit(encode_permit(permit)) == permit


def test_stored_permit_reads_back_after_its_end(permit):
    """Revoked, replaced and sealed permits read back as they are."""
    successor = format_permit_urn("330822", 2026, serial="9")
    for ended in (
        revoke_permit(permit, RevokeReason.LEFT, today=date(2026, 1, 5)),
        replace(permit, status=PermitStatus.REPLACED, replaced_by=successor, ended_on=date(2026, 1, 5)),
        replace(permit, sealed=True),
    ):
        assert decode_permit(encode_permit(ended)) == ended


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"status":"valid"', b'"status":"lost"'),
        (b'"birth_date":"2190-03-07"', b'"birth_date":"2190-02-30"'),
        (b'"endorsements":[]', b'"endorsements":{}'),
        (b'"version":1', b'"version":"1"'),
        (b"{", b"{ "),
        (b'"urn":"urn:permit:', b'"urn":"urn:'),
    ],
)
def test_stored_permit_that_was_changed_is_corrupt(permit, old, new):
    """What we wrote ourselves and cannot read is for a human, never for a retry."""
    encoded = encode_permit(permit)
    assert old in encoded
    with pytest.raises(CorruptError) as caught:
        decode_permit(encoded.replace(old, new, 1))
    assert caught.value.reason == "PERMIT_RECORD"
