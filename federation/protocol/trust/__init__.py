"""The agreement: what the provinces signed, as verified values. Start reading at `agreement.load_agreement`."""

from federation.protocol.trust.agreement import (
    Agreement,
    AgreementFiles,
    Freshness,
    find_agency,
    find_party,
    freshness,
    load_agreement,
    message_keys_at,
    past_keys,
    verify_in_force,
    withheld,
)
from federation.protocol.trust.members import Agency, FormerMember, Member, MessageKey, Terms
from federation.protocol.trust.metadata import Signing, sign_metadata, who_signed

__all__ = [
    "Agency", "Agreement", "AgreementFiles", "FormerMember", "Freshness", "Member", "MessageKey", "Signing", "Terms",
    "find_agency", "find_party", "freshness", "load_agreement", "message_keys_at", "past_keys", "sign_metadata",
    "verify_in_force", "who_signed", "withheld",
]  # fmt: skip
