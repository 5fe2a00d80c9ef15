"""The golden values of the transparency-log formats, and the test keys they were made with."""

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from federation.protocol.tlog.merkle import CompactRange, hash_leaf
from federation.protocol.tlog.note import KeyKind, Vkey

ORIGIN = "log.example/exchange/2026"
COSIGN_TIME = datetime.fromtimestamp(1790000000, UTC)

ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "db3426e878068d28d269b6c87172322ce5372b65756d0789001d34835f601c03",
    3: "725d5230db68f557470dc35f1d8865813acd7ebb07ad152774141decbae71327",
    7: "a3e23b32ccb6bf96d092d165d8aa546e09829de8f03b0e8957581d1e16b92bdf",
    8: "3b85a9626c1ccb64c6b95ec7fa64888defe2cf12e39e77e10812ce5fcb9cb58e",
    256: "828515d033c19d8c901f37eccb8aed919667703486f8d2fff1cf7040321c5db1",
    257: "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4",
    70000: "1a4cdfcb66374a0c0dcbef49acbd4976d13ee864fb3cb241fc943cad04f02f7e",
}

CONSISTENCY_3_7 = (
    "fa61e3dec3439589f4784c893bf321d0084f04c572c7af2b68e3f3360a35b486",
    "906c5d2485cae722073a430f4d04fe1767507592cef226629aeadb85a2ec909d",
    "cb00989d94a569c0a678ae042b63dcd4625db96440517f37a6eb7976ea24ed4b",
    "973f083957c7359fb1943acf9e6689bca6ca5ea7197d808aad3c14498689efe0",
)

LOG_VKEY = "log.example/exchange/2026+77ea5bae+AW708rmjJrfRjPbKPxIdGeOTbGuc4ktEYJOpwhl79RXJ"
WITNESS_VKEY = "w1.example/witness+cf86bf3f+BBBh647Y56IcmoIWiY/5sxeefv6JYg0cy997APN09GtH"

PROOF = """c2sp.org/tlog-proof@v1
index 4
UzBPXj/UvNILOave8v4RgDHMWughe86gCN6n4nhpNIo=
O/nIHCMcrnC2eNPzA4+fT21rnXrc+bN48lkZrlPRdoY=
n0o/wg1BYtw31OI9kHhIcxp2BD//9taSiL8av7z/R44=

log.example/exchange/2026
7
o+I7Msy2v5bQktFl2KpUbgmCnejwOw6JV1gdHha5K98=

\u2014 log.example/exchange/2026 d+pbriWNl2owSwZKaB/pjxHbacfPhp3fl308o97ovsOmh50QidKnQn2wug1QInlVGp4e1ckV/1XBWgCs7PxnR6D9TA8=
\u2014 w1.example/witness z4a/PwAAAABqsTuAL/HDpCdGAiqbcaTxaAX4zFN0lmGcrDTpUt2oarQbBcQSS3hjw3R4+yBMje5lNFUuV4X1qA5Z1otXr5VeWYbbBA==
""".encode()
CHECKPOINT = PROOF[PROOF.index(b"\n\n") + 2 :]
CHECKPOINT_TEXT = CHECKPOINT[: CHECKPOINT.index(b"\n\n") + 1].decode()


def ed25519(label: str) -> Ed25519PrivateKey:
    """The private key whose bytes are the hash of a label."""
    return Ed25519PrivateKey.from_private_bytes(sha256(label.encode()).digest())


def mldsa44(label: str) -> MLDSA44PrivateKey:
    """The post-quantum private key whose seed is the hash of a label."""
    return MLDSA44PrivateKey.from_seed_bytes(sha256(label.encode()).digest())


LOG_KEY = ed25519("bridgehead test log key")
WITNESS_KEY = ed25519("bridgehead test witness key w1")
PQ_KEY = mldsa44("bridgehead test pq witness key w1")


def vkey(name: str, kind: KeyKind, key: Ed25519PrivateKey | MLDSA44PrivateKey) -> Vkey:
    """The verifier key of a private key."""
    return Vkey(name=name, kind=kind, public_key=key.public_key().public_bytes_raw())


LOG = vkey(ORIGIN, KeyKind.ED25519, LOG_KEY)
WITNESS = vkey("w1.example/witness", KeyKind.COSIGNATURE, WITNESS_KEY)
PQ_WITNESS = vkey("w1.example/witness-pq", KeyKind.COSIGNATURE_MLDSA44, PQ_KEY)


def entry(index: int) -> bytes:
    """Entry i of the golden log is the ASCII decimal of i."""
    return str(index).encode()


class Tree:
    """A whole tree in memory: every node by (level, index), and the root at every size."""

    def __init__(self, size: int) -> None:
        edge = CompactRange()
        self.nodes = {}
        self.roots = [edge.root()]
        for index in range(size):
            for level, at, blob in edge.append(hash_leaf(entry(index))):
                self.nodes[level, at] = blob
            self.roots.append(edge.root())

    def read(self, nodes):
        """The hashes of the nodes asked for."""
        return [self.nodes[node] for node in nodes]

    def leaf(self, index: int) -> bytes:
        """The hash of one leaf."""
        return self.nodes[0, index]


@cache
def tree(size: int) -> Tree:
    """The tree of the golden log at a size, made once."""
    return Tree(size)
