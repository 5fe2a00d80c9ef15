"""CAP files at a node: a message of an alert as a file, and a stranger's file as a proposal on a desk of ours.

Rules kept: nothing of a file is kept, and no file becomes an alert by itself; an officer raises what it proposes, and
the digests of the file and of its name stand in that entry. A message of a name that some desk raised before proposes
nothing: whoever was told of that alert is shown it. What is wrong with a file is an answer, field by field.
"""

from __future__ import annotations

import asyncio
import hashlib

from federation.domain.alert_cap import NO_MESSAGE, CapWords, message_of, messages_of, raising_of, source_of
from federation.domain.alert_line import AlertLine
from federation.domain.alert_policy import AlertStanding, read_request
from federation.domain.alert_rules import AgreedAlerts, read_alert_rules
from federation.domain.cap import CapMessage
from federation.domain.cap_import import import_cap
from federation.domain.cap_rules import Known, Standing, place_message
from federation.domain.cap_xml import export_cap
from federation.domain.division import format_division_path
from federation.domain.functions import FUNCTIONS_FILE, parse_functions
from federation.node.alerts.lists import ALERTS, NAMES, record_of
from federation.node.alerts.steps import items_shown, readable
from federation.node.exchange.errand import Errand, on
from federation.node.joint.records import ALERT
from federation.protocol.errors import NotFoundError
from federation.protocol.ids import AgencyId, FederationName
from federation.wire.agency import alerts as wire
from federation.wire.agency.alerts import AlertExport, CapFile, CapProposal, CapUpload


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
    held = record_of(node.database, found.message.identifier)
    line = None if held is None else ALERTS.find(node.database, f"{errand.caller}/{held}")
    if line is not None:
        return CapProposal(decision=ruling, standing=Standing.REPEATED, faults=found.faults, line=line)
    line, known = _raised_from(errand, found.message)
    placed = place_message(found.message, digest, known, now=node.now())
    faults = (*found.faults, *placed.faults)
    if line is not None:
        return CapProposal(decision=ruling, standing=placed.standing, faults=faults, line=line)
    fields, items = raising_of(found.message, rules.table)
    return CapProposal(
        decision=ruling, id="" if placed.refused else digest, standing=placed.standing, faults=faults, fields=fields,
        items=items,
    )  # fmt: skip


def _raised_from(errand: Errand, message: CapMessage) -> tuple[AlertLine | None, tuple[Known, ...]]:
    """The alert that some desk raised from a stranger's message of that name, as far as the office was told of it."""
    source = errand.node.database
    for name in NAMES.by_subject(source, source_of(message)):
        line = ALERTS.find(source, f"{errand.caller}/{name.record}")
        for kept in ALERT.entries.by_subject(source, name.name) if line is not None else ():
            digest = str(kept.head.fields.get("manifest", ""))
            known = Known(
                named=message.named, digest=digest, record=name.record, status=message.status,
                msg_type=message.msg_type, live=True,
            )  # fmt: skip
            return line, (known,)
    return None, ()


@on(wire.EXPORT_ALERT)
async def export(errand: Errand, asked: AlertExport) -> CapFile:
    """Writes the newest message of an alert, or the one that is named, with the texts that the office may see.

    Refuses CAP_NO_MESSAGE, and what our profile does not let out (`export_cap`).
    """
    held, ruling = await readable(errand, asked.alert)
    alert = None if held is None else held.state
    if held is None or alert is None or not isinstance(alert.rules, AgreedAlerts):
        return CapFile(decision=ruling)
    messages = {entry.name: entry for entry in messages_of(alert)}
    entry = messages.get(asked.entry) if asked.entry else next(reversed(messages.values()))
    if entry is None:
        raise NotFoundError("CAP_NO_MESSAGE", NO_MESSAGE)
    federation = FederationName(errand.in_force.agreement.federation)
    names = {area.id: area.name for area in alert.rules.duty.areas.values() if area.name}
    office = _office(errand, entry.head.agency)
    words = CapWords(table=alert.rules.table, federation=federation, office=office, area_names=names)
    message = message_of(alert, entry, items_shown(errand, held, held.kept[entry.name]), words=words)
    return CapFile(decision=ruling, content=await asyncio.to_thread(export_cap, message, table=words.table))


def _office(errand: Errand, agency: AgencyId) -> str:
    """The name of an office: its county and its kind, as the register of functions has it."""
    kind = parse_functions(errand.in_force.agreement.files[FUNCTIONS_FILE].decode()).agency_kinds.get(agency.kind)
    return f"{format_division_path(agency.county)}{agency.kind if kind is None else kind.name}"
