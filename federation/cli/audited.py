"""The federation that an auditor reads: its agreement, and whether the nodes asked stand under that very one.

Rules kept: what is named is read, or the command ends; nothing else is looked for. Every key comes from the agreement,
verified from a first root that a person named: by `--root`, or by naming the file or folder that it lies in. A profile
whose node shows an agreement that does not grow out of that root is of another federation and refused, whatever the
name; a node that does not answer is not asked for anything more. The newest agreement that any of them shows is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import Struct

from federation.cli.options import FEDERATION_FILE, ask_node, load_federation_file, now, run_loop
from federation.cli.show import say
from federation.protocol.errors import BridgeheadError, ConflictError, NotFoundError, UntrustedError
from federation.protocol.form import replace
from federation.protocol.ids import NodeName, format_time

if TYPE_CHECKING:
    from federation.node.home.files import AgencyProfile
    from federation.protocol.trust import Agreement
    from federation.protocol.trust.agreement import AgreementFiles

FETCH_SECONDS = 10.0
_DIGEST_LENGTH = 64
_STATES: Final = {"fresh": "现行有效", "lapsed": "续期已过", "expired": "已到期"}

AgreementOption = Annotated[
    Path | None,
    typer.Option("--agreement", help="The agreement: a node's home, a copied folder, a file of 'agreement export'."),
]
FederationOption = Annotated[Path | None, typer.Option("--federation", help="A federation.json.")]
FolderOption = Annotated[Path | None, typer.Option("--home", help="A folder with federation.json in it.")]
ProfileOption = Annotated[
    list[Path] | None,
    typer.Option("--profile", help="An audit agency's profile.toml; alone, its node is asked for the agreement."),
]
RootOption = Annotated[
    str | None,
    typer.Option("--root", help="The first root: a file, or its digest as in 'agreement show'."),
]


class Sought(Struct, frozen=True, kw_only=True):
    """A federation as the command line names it, not yet read: an agreement, a `federation.json`, or a node alone."""

    agreement: Path | None = None
    file: Path | None = None
    profiles: tuple[Path, ...] = ()
    root: str | None = None

    @property
    def named_by(self) -> Path:
        """The path beside which an auditor's own notes lie."""
        found = self.agreement or self.file or self.profiles[0]
        return found.resolve()


class KnownFederation(Struct, frozen=True, kw_only=True):
    """A federation under its pinned first root; `read_urls` go before those of the agreement.

    `silent` are the nodes of profiles that could not be asked for their agreement, with what was said.
    """

    agreement: Agreement
    files: AgreementFiles
    trusted_root: bytes
    read_urls: Mapping[NodeName, str]
    profiles: tuple[AgencyProfile, ...]
    silent: Mapping[NodeName, BridgeheadError]

    def read_url(self, node: NodeName) -> str:
        return self.read_urls.get(node, self.agreement.members[node].read_url)


def open_sought(
    *,
    agreement: AgreementOption = None,
    federation: FederationOption = None,
    home: FolderOption = None,
    profile: ProfileOption = None,
    root: RootOption = None,
) -> Sought:
    """Returns what the options name; one federation at most (usage error)."""
    if sum(given is not None for given in (agreement, federation, home)) > 1:
        raise typer.BadParameter(
            "只写一个联邦：--agreement、--federation 或 --home"
            " | name one federation: --agreement, --federation or --home"
        )
    file = home / FEDERATION_FILE if home is not None else federation
    return Sought(agreement=agreement, file=file, profiles=tuple(profile or ()), root=root)


def find_federation(sought: Sought, *, confirmed: bool = False) -> KnownFederation:
    """Finds the federation that is named. `confirmed`: every profile's node is asked which agreement it stands under.

    Raises typer.BadParameter when nothing is named; AGREEMENT_ROOT when no first root is, or another one;
    FEDERATION_OTHER for a profile of another federation; AGREEMENT_CONFLICT for one version with two contents;
    what a node said when none gave an agreement that is to come from them; and as what is named is read.
    """
    from federation.node.home.files import load_profile

    if sought.agreement is None and sought.file is None and not sought.profiles:
        raise typer.BadParameter(
            "写明联邦：--agreement、--federation、--home，或 --profile 加 --root"
            " | name the federation: --agreement, --federation, --home, or --profile with --root"
        )
    known, named = _read_named(sought)
    profiles = tuple(load_profile(path) for path in named) if confirmed or known is None else ()
    if known is None:
        known = _fetch_first(profiles, sought.root)
    elif confirmed:
        known = _confirm(replace(known, profiles=profiles), run_loop(_ask_agreements(profiles)))
    say(_sentence(known))
    return known


def known_of(packed: bytes, path: Path, root: str | None) -> KnownFederation:
    """The federation whose agreement lies packed in a file, under that first root, or the one that lies with it."""
    from federation.node.home.agreement import unpack_archive

    files = unpack_archive(packed, path)
    known = _known(files, files.roots[0] if root is None else _pinned_root(root, beside=Path(), roots=files.roots))
    say(_sentence(known))
    return known


def _read_named(sought: Sought) -> tuple[KnownFederation | None, Sequence[Path]]:
    """Reads what lies on this disk, and finds the profiles of audit agencies that are to be used."""
    if sought.file is not None:
        file = load_federation_file(sought.file)
        files, _ = _read_agreement(file.agreement)
        root = _pinned_root(sought.root or file.root, beside=file.path.parent, roots=files.roots)
        audits = [path for agency, path in file.profiles.items() if agency.kind == "audit"]
        return _known(files, root, read_urls=file.read_urls), sought.profiles or audits
    if sought.agreement is None:
        return None, sought.profiles
    files, pinned = _read_agreement(sought.agreement)
    root = pinned if sought.root is None else _pinned_root(sought.root, beside=Path(), roots=files.roots)
    return _known(files, root), sought.profiles


def _read_agreement(path: Path) -> tuple[AgreementFiles, bytes]:
    """The agreement in a file or a folder, unverified, and the first root that lies there."""
    from federation.node.home.agreement import PINNED_ROOT, read_archive, read_repository
    from federation.node.home.files import read_file

    if path.is_file():
        files = read_archive(path)
        return files, files.roots[0]
    for folder, pinned in (
        (path, path / PINNED_ROOT),
        (path / "current", path / PINNED_ROOT),
        (path / "agreement" / "current", path / "agreement" / PINNED_ROOT),
    ):
        if (folder / "metadata").is_dir():
            files = read_repository(folder)
            return files, read_file(pinned) if pinned.exists() else files.roots[0]
    raise NotFoundError("AGREEMENT_MISSING", f"expected an agreement in {path}: a file or folder of 'agreement export'")


def _pinned_root(text: str, *, beside: Path, roots: Sequence[bytes]) -> bytes:
    from federation.protocol.trust.metadata import root_digest

    for path in (beside / text, Path(text)):
        if path.is_file():
            return path.read_bytes()
    if len(text) != _DIGEST_LENGTH:
        raise NotFoundError("AGREEMENT_ROOT", f"expected the pinned root {text:.80}, or its digest")
    if not roots or root_digest(roots[0]) != text.lower():
        raise UntrustedError("AGREEMENT_ROOT", f"expected the first root {text:.16}...")
    return roots[0]


def _known(
    files: AgreementFiles, root: bytes, *, read_urls: Mapping[NodeName, str] = MappingProxyType({})
) -> KnownFederation:
    from federation.protocol.trust import load_agreement

    agreement = load_agreement(files, trusted_root=root, now=now(), previous=None)
    return KnownFederation(
        agreement=agreement, files=files, trusted_root=root, read_urls=read_urls, profiles=(), silent={}
    )


def _fetch_first(profiles: Sequence[AgencyProfile], root: str | None) -> KnownFederation:
    """Fetches what the profiles' nodes show, under the root that was named: nobody is trusted on first sight."""
    if root is None:
        raise UntrustedError("AGREEMENT_ROOT", "expected --root: an agreement from a node is held against a known root")
    offered = run_loop(_ask_agreements(profiles))
    shown = next((files for _, files in offered if not isinstance(files, BridgeheadError)), None)
    if shown is None:
        raise next(error for _, error in offered if isinstance(error, BridgeheadError))
    pinned = _pinned_root(root, beside=Path(), roots=shown.roots)
    return _confirm(replace(_known(shown, pinned), profiles=tuple(profiles)), offered)


_Offer = tuple["AgencyProfile", "AgreementFiles | BridgeheadError"]


async def _ask_agreements(profiles: Sequence[AgencyProfile]) -> list[_Offer]:
    return list(await asyncio.gather(*(_ask_agreement(profile) for profile in profiles)))


async def _ask_agreement(profile: AgencyProfile) -> _Offer:
    from federation.wire.peer import FETCH_AGREEMENT, AgreementQuery

    try:
        files = await ask_node(
            profile, lambda client: client.call(FETCH_AGREEMENT, None, AgreementQuery()), timeout_seconds=FETCH_SECONDS
        )
    except BridgeheadError as error:
        return profile, error
    return profile, files


def _confirm(known: KnownFederation, offered: Sequence[_Offer]) -> KnownFederation:
    """The same under the newest agreement that is shown, after each of them grew out of the same first root."""
    shown, silent = [known], {}
    for profile, files in offered:
        if isinstance(files, BridgeheadError):
            silent[NodeName(profile.node)] = files
            continue
        try:
            offer = _known(files, known.trusted_root)
        except BridgeheadError as error:
            raise _other(profile, f"its node shows an agreement that is not of this root: {error}") from error
        if offer.agreement.federation != profile.federation:
            raise _other(profile, f"it is of {profile.federation}, the agreement of {offer.agreement.federation}")
        shown.append(offer)
    newest = max(shown, key=lambda each: attrgetter("root_version", "version", "timestamp_version")(each.agreement))
    version, digest = newest.agreement.version, newest.agreement.digest
    if any(each.agreement.version == version and each.agreement.digest != digest for each in shown):
        raise ConflictError("AGREEMENT_CONFLICT", f"two signed agreements of version {version} are shown")
    return replace(known, agreement=newest.agreement, files=newest.files, silent=silent)


def _other(profile: AgencyProfile, why: str) -> UntrustedError:
    return UntrustedError("FEDERATION_OTHER", f"the profile of {profile.agency} is of another federation: {why}")


def _sentence(known: KnownFederation) -> str:
    from federation.protocol.trust import freshness
    from federation.protocol.trust.metadata import root_digest

    agreement = known.agreement
    until = format_time(agreement.fresh_until_time)
    state = freshness(agreement, now()).value
    root = root_digest(known.trusted_root)
    return (
        f"依据 {agreement.federation}（{agreement.realm.value}）协议第 {agreement.version} 版，"
        f"{_STATES[state]}，至 {until}，首个根 {root} | under agreement {agreement.version} of "
        f"{agreement.federation} ({agreement.realm.value}), {state} until {until}, first root {root}"
    )
