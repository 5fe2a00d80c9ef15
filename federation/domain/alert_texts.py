"""The texts of an alert: what may not stand in them, what of another node's stays closed, how long they live.

Rules kept: outside the fields that are for it no text holds a citizen number, a telephone number, a plate or an
account; whoever writes one is told which, never the number. Of another node's entry such a field stays closed and the
rest counts: its head is taken in, or what stands on it would wait at one node and not at another. Items end with the
work, later where nobody is named or an assessment wants them. Source: PIPL 6, 19, 28; 突发事件应对法第八十五条.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from federation.domain.alert import Alert
from federation.domain.alert_acts import ALERT_ACTS
from federation.domain.alert_policy import DETAIL, PLATE, is_of_person
from federation.domain.alert_rules import AgreedAlerts
from federation.domain.case_items import CLASSES, CaseItem, Part, read_part
from federation.domain.documents import DOCUMENT
from federation.domain.joint import FieldValue, Head
from federation.domain.personal import find_personal, verify_impersonal
from federation.domain.retention import ALERT, EMERGENCY, EVIDENCE
from federation.protocol.errors import MalformedError
from federation.protocol.ids import Realm

HIDDEN: Final = "（内容疑含个人信息，不予显示 | not shown: it seems to hold personal data）"
_FREE: Final = frozenset({"line", "text"})


def verify_texts(items: Iterable[CaseItem], fields: Mapping[str, FieldValue], *, act: str) -> None:
    """Refuses an act of ours with personal data in a text that is not for it (TEXT_PERSONAL)."""
    for item in items:
        for name, value in item.fields.items():
            if _is_free(item.kind, name):
                verify_impersonal(value, field=name, may=_may(item.kind, name))
    for name in _free_fields(act):
        verify_impersonal(str(fields.get(name, "")), field=name)


def read_alert_part(encoded: bytes, kind: str, *, realm: Realm) -> Part | None:
    """Returns one place of an entry; None for one that stays closed: with personal data in it, or of no known form."""
    try:
        part = read_part(encoded, kind, realm=realm)
    except MalformedError:
        return None
    return None if _is_free(kind, part.field) and find_personal(part.value, may=_may(kind, part.field)) else part


def shown_fields(head: Head) -> Mapping[str, FieldValue]:
    """The fields of a head as they are shown: a text with personal data is hidden."""
    hidden = {name for name in _free_fields(head.act) if find_personal(str(head.fields.get(name, "")))}
    return {name: HIDDEN if name in hidden else value for name, value in head.fields.items()}


def kept_under(alert: Alert) -> str:
    """The rule of retention that ends the items of an alert, the same at every node that holds its heads."""
    if alert.evidence:
        return EVIDENCE
    return EMERGENCY if names_person(alert) else ALERT


def names_person(alert: Alert) -> bool:
    """True when an entry has an item that says who somebody is, or a picture of them, whether it had effect or not."""
    entries = (*(done.entry for done in alert.named.values()), *(entry for entry, _ in alert.without_effect))
    kind = alert.rules.table.kinds.get(alert.kind) if alert.raised and isinstance(alert.rules, AgreedAlerts) else None
    naming = {"person", DOCUMENT} if kind is not None and is_of_person(kind) else {"person"}
    return any(not naming.isdisjoint(entry.head.items) for entry in entries)


def _free_fields(act: str) -> list[str]:
    known = ALERT_ACTS.get(act)
    return (
        []
        if known is None
        else [name for name, field in known.known.items() if field.type == "text" and not field.words]
    )


def _is_free(kind: str, field: str) -> bool:
    """True for a text, and for the telephone of a contact, which is a desk's and never somebody's own."""
    return CLASSES.get(kind, {}).get(field) in _FREE or (kind, field) == ("contact", "phone")


def _may(kind: str, field: str) -> tuple[str, ...]:
    return (PLATE,) if (kind, field) == (DETAIL, PLATE) else ()
