"""The ledger of a joint case, as `case show` tells it: its parties, what each claims, what was verified, owed and paid.

It is made of the entries that the office may see, those without effect left out: a name stands where it is open to the
office, and the totals are the sums of the lines, without what was withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.cli.show import JsonOut
from federation.cli.words import said, titled
from federation.wire.agency.cases import EntryLine

_ROLES: Final = {
    "applicant": "申请人|applicant", "respondent": "被申请人|respondent", "agent": "代理人|agent",
    "guardian": "监护人|guardian", "third": "第三人|third party",
}  # fmt: skip
_STATES: Final = {
    "add_claim": "未核实|not verified", "verify_claim": "已核实|verified", "dispute_claim": "有异议|disputed",
    "withdraw_claim": "已撤回|withdrawn", "waive_rest": "放弃余额|the rest waived",
}  # fmt: skip
_TITLES: Final = ("draft", "order_payment", "issue_order", "award", "judge")


_Rows = dict[str, dict[str, JsonOut]]


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The parties, claims and obligations of a case by tag, as its entries say them; sums are in fen."""

    parties: _Rows = field(default_factory=dict)
    claims: _Rows = field(default_factory=dict)
    obligations: _Rows = field(default_factory=dict)

    def total(self, of: str) -> int:
        """The sum of a column over the claims that were not withdrawn."""
        return sum(_fen(each[of]) for each in self.claims.values() if each["state"] != "withdraw_claim")


def read_ledger(entries: Sequence[EntryLine]) -> Ledger:
    """Returns the ledger of a case, of the newest agreement, order, award or judgment in it."""
    found = Ledger()
    taken = [line for line in entries if not line.without_effect]
    text = next((line.fields.get("agreement") for line in reversed(taken) if line.act in _TITLES), None)
    for line in taken:
        act, fields = line.act, dict(line.fields)
        if act == "add_party":
            names = [item.fields["name"] for item in line.items if item.kind == "party" and "name" in item.fields]
            found.parties[fields["party"]] = {"name": "".join(names[:1]), **_kept(fields, "role", "side", "county")}
        elif act == "amend_party" and fields["party"] in found.parties:
            names = [item.fields["name"] for item in line.items if item.kind == "party" and "name" in item.fields]
            anew = {"name": "".join(names[:1]), "county": fields.get("county", "")}
            found.parties[fields["party"]].update({name: text for name, text in anew.items() if text})
        elif act == "add_claim":
            found.claims[fields["claim"]] = {
                "party": fields["party"], "kind": fields.get("kind", ""), "sum": _fen(fields.get("sum", 0)),
                "verified": 0, "state": act,
            }  # fmt: skip
        elif act in _STATES and fields.get("claim") in found.claims:
            claim = found.claims[fields["claim"]]
            verified = fields.get("sum", claim["sum"]) if act == "verify_claim" else claim["verified"]
            claim.update(state=act, verified=_fen(verified))
        elif act == "split":
            for gone in fields["claims"].split(","):
                found.claims.pop(gone, None)
        elif act == "add_obligation" and fields["agreement"] == text:
            said_of = _kept(fields, "party", "what", "due")
            found.obligations[fields["obligation"]] = {**said_of, "sum": _fen(fields.get("sum", 0)), "paid": 0}
        elif act == "record_payment" and fields["obligation"] in found.obligations:
            owed = found.obligations[fields["obligation"]]
            owed["paid"] = _fen(owed["paid"]) + _fen(fields["sum"])
    return found


def ledger_lines(ledger: Ledger) -> Iterator[str]:
    """The ledger for a person: a line a party, a claim and an obligation, and the totals of what is claimed."""
    for tag, party in ledger.parties.items():
        role = said(_ROLES[str(party["role"])])
        yield _columns("当事人|party", tag, party["name"], role, party["side"], party["county"])
    for tag, claim in ledger.claims.items():
        state = said(_STATES[str(claim["state"])])
        verified = _yuan(claim["verified"]) if claim["verified"] else ""
        yield _columns("诉求|claim", tag, claim["party"], claim["kind"], _yuan(claim["sum"]), state, verified)
    if len(ledger.claims) > 1:
        verified = f"{said('已核实|verified')} {_yuan(ledger.total('verified'))}"
        yield _columns("诉求合计|claims in all", _yuan(ledger.total("sum")), verified)
    for tag, owed in ledger.obligations.items():
        paid = f"{said('已付|paid')} {_yuan(owed['paid'])}"
        what = (_yuan(owed["sum"]), paid) if owed["what"] == "payment" else ()
        yield _columns("义务|obligation", tag, owed["party"], owed["due"], *what)


def _kept(fields: Mapping[str, str], *names: str) -> dict[str, JsonOut]:
    return {name: fields.get(name, "") for name in names}


def _fen(value: JsonOut) -> int:
    return int(str(value))


def _columns(title: str, *cells: JsonOut) -> str:
    return f"  {titled(title)}{'  '.join(str(cell) for cell in cells if cell)}"


def _yuan(fen: JsonOut) -> str:
    """A sum in fen, in yuan: 12,500.00."""
    yuan, rest = divmod(_fen(fen), 100)
    return f"{yuan:,}.{rest:02} {said('元|yuan')}"
