"""CAP files at a node: a stranger's file as a proposal on a desk of ours.

Rules kept: nothing of a file is kept, and no file becomes an alert by itself; an officer raises what it proposes, and
the digest of the file stands in that entry. What is wrong with a file is an answer, field by field.
"""

from __future__ import annotations

import asyncio
import hashlib

from federation.domain.alert_cap import raising_of
from federation.domain.alert_policy import AlertStanding, read_request
from federation.domain.alert_rules import read_alert_rules
from federation.domain.cap_import import import_cap
from federation.domain.cap_rules import place_message
from federation.node.exchange.errand import Errand, on
from federation.wire.agency import alerts as wire
from federation.wire.agency.alerts import CapProposal, CapUpload


@on(wire.IMPORT_CAP)
async def propose(errand: Errand, upload: CapUpload) -> CapProposal:
    """Says what a file would raise at a desk of the caller, where it stands, and everything that is against it."""
    node = errand.node
    rules = read_alert_rules(errand.in_force.agreement.files)
    is_own = upload.desk in rules.desks_of(errand.caller)
    standing = AlertStanding.NOTIFIED if is_own else AlertStanding.STRANGER
    ruling = await errand.ask(read_request(errand.agency, standing, home=node.name, occasion=errand.occasion))
    if not ruling.allowed:
        return CapProposal(decision=ruling)
    found = await asyncio.to_thread(import_cap, upload.content, table=rules.table)
    digest = hashlib.sha256(upload.content).hexdigest()
    if found.message is None or found.refusals:
        return CapProposal(decision=ruling, faults=found.faults)
    placed = place_message(found.message, digest, (), now=node.now())
    fields, items = raising_of(found.message, rules.table)
    return CapProposal(
        decision=ruling, id="" if placed.refused else digest, standing=placed.standing,
        faults=(*found.faults, *placed.faults), fields=fields, items=items,
    )  # fmt: skip
