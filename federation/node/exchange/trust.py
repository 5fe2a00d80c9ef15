"""What this node trusts now: the agreement in force and its parsed policies, replaced together.

A new version is verified by `protocol.trust` against the one in force before it gets here; readers take one snapshot
for one exchange, so that an exchange is judged under a single version from its first step to its last.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.protocol.errors import UntrustedError
from federation.protocol.ids import AgencyId, NodeName
from federation.protocol.policy import PolicyBook, load_policy_book
from federation.protocol.trust import Agency, Agreement, Member, find_agency


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One agreement version and the policies that it carries."""

    agreement: Agreement
    policies: PolicyBook

    def member(self, node: NodeName) -> Member:
        """The member of that name.

        Raises:
            UntrustedError: NOT_A_MEMBER when the agreement does not name it.
        """
        found = self.agreement.members.get(node)
        if found is None:
            raise UntrustedError("NOT_A_MEMBER", f"the agreement names no node {node!r:.40}")
        return found

    def agency(self, agency: AgencyId) -> Agency:
        """The agency of that name.

        Raises:
            UntrustedError: NOT_AN_AGENCY when the agreement does not name it.
        """
        found = find_agency(self.agreement, agency)
        if found is None:
            raise UntrustedError("NOT_AN_AGENCY", f"the agreement names no agency {agency}")
        return found


class Trust:
    """Holds the agreement in force; one writer replaces it, readers take a snapshot."""

    def __init__(self, agreement: Agreement) -> None:
        """Parses the policies that the agreement carries; an agreement whose policies do not parse is refused."""
        self._in_force = InForce(agreement=agreement, policies=load_policy_book(agreement.files))

    @property
    def in_force(self) -> InForce:
        """The version under which an exchange that starts now is judged."""
        return self._in_force

    def replace(self, agreement: Agreement) -> None:
        """Puts a newer, already verified version in force, policies and all."""
        policies = self._in_force.policies
        if agreement.digest != self._in_force.agreement.digest:
            policies = load_policy_book(agreement.files)
        self._in_force = InForce(agreement=agreement, policies=policies)
