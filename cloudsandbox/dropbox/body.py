"""A request body with the digests of its blocks."""

from cloudsandbox.body import Body
from cloudsandbox.dropbox.hashing import BlockHasher, combined

HashedBody = Body[BlockHasher]


def empty_body() -> HashedBody:
    """A body of no bytes."""
    return Body(BlockHasher())


def body_hash(body: HashedBody) -> str:
    """The content hash of exactly this body."""
    return combined(block.digest for block in body.hasher.blocks())
