"""Gathering a block blob in Azure over many requests and processes: blocks under its later name, and a tail beside.

Blocks cannot be read before they are committed, and there may be 50,000; so what is too small for a block is kept in
a small blob of its own until the next request brings more. Whose turn it is, is written beside as well: a block's id
holds the turn, and `common.blobs.pieces.chain` says which of all blocks count. Nobody waits for a writer that died.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, ContainerClient

from common.blobs import BlobBusy, BlobsUnavailable, Chunks, OtherSize
from common.blobs.azerrors import is_absent, unavailable_on_azure_error
from common.blobs.azure_once import create_once
from common.blobs.pieces import Piece, Turn, chain

GATHERING = ".gathering/"

BLOCK = 4 * 1024 * 1024
"""Bytes of a block where there are enough."""

SMALLEST = 1024 * 1024
"""Bytes from which on what is left becomes a block; with 50,000 blocks a blob may have 48 GiB at least."""


@dataclass
class Gathered:
    """What there is: every turn and piece, and when somebody last came."""

    turns: list[Turn] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    modified: datetime | None = None

    @property
    def latest(self) -> Turn | None:
        """The newest turn there is a trace of."""
        return max([*self.turns, *(piece.turn for piece in self.pieces)], default=None)

    @property
    def size(self) -> int:
        """How many bytes count."""
        return true[-1].end if (true := chain(self.pieces)) else 0


class AzureGathering:
    """One blob on its way, as one writer sees it.

    Parameters
    ----------
    container
        Where it will be.
    name
        Its name.
    """

    def __init__(self, container: ContainerClient, name: str) -> None:
        self._container = container
        self._name = name
        self._turn = Turn(0, uuid4().hex[:8])
        self._true: list[Piece] = []

    async def look(self) -> Gathered:
        """What there is now."""
        found = Gathered()
        beside = f"{GATHERING}{self._name}/"
        with unavailable_on_azure_error():
            async for blob in self._container.list_blobs(name_starts_with=beside):
                found.beside.append(blob.name)
                found.modified = max(found.modified or blob.last_modified, blob.last_modified)
                label = blob.name.removeprefix(beside)
                if len(label) > _TURN:
                    found.pieces.append(Piece(_turn(label), int(label[_TURN:], 16), blob.size, tail=True))
                else:
                    found.turns.append(_turn(label))
            try:
                _, staged = await self._blob.get_block_list("uncommitted")
            except HttpResponseError as error:
                if not is_absent(error):
                    raise
                staged = []
        found.pieces += [
            Piece(_turn(block.id), int(block.id[_TURN:], 16), block.size) for block in staged if len(block.id) == _ID
        ]
        return found

    async def begin(self, size: int) -> None:
        """Take the turn.

        Raises
        ------
        OtherSize
            There are not ``size`` bytes.
        BlobBusy
            Somebody took it at the same time.
        """
        before = await self.look()
        if before.size != size:  # whoever is wrong about it takes nobody's turn
            raise OtherSize(before.size)
        latest = before.latest
        self._turn = Turn(latest.number + 1 if latest is not None else 1, self._turn.writer)
        await self._put(_label(self._turn), b"")
        found = await self.look()
        if found.latest != self._turn:
            raise BlobBusy
        if found.size != size:
            raise OtherSize(found.size)
        self._true = chain(found.pieces)

    async def add(self, chunks: Chunks) -> int:
        """Store what comes; what `common.blobs.Blobs.gather` says of it."""
        held = await self._take_tail()
        old, ended = len(held), None
        while True:
            try:
                chunk = await anext(chunks, None)
            except BaseException as error:
                ended = error
                break
            if chunk is None:
                break
            held += chunk
            while len(held) >= BLOCK:
                await self._stage(bytes(held[:BLOCK]))
                del held[:BLOCK]
                old = 0
        if len(held) >= SMALLEST:
            await self._stage(bytes(held))
        elif len(held) > old:
            start = self._end
            await self._put(_label(self._turn, start), bytes(held))
            self._true.append(Piece(self._turn, start, len(held), tail=True))
        size = await self._check()
        if ended is not None:
            raise ended
        return size

    async def commit(self) -> None:
        """Make it the blob."""
        if self._true and self._true[-1].tail:
            await self._stage(bytes(await self._take_tail()))
        blocks = [BlobBlock(block_id=_label(piece.turn, piece.start)) for piece in self._true]
        with unavailable_on_azure_error():
            await self._commit(blocks)
        await self.tidy()

    async def forget(self) -> None:
        """Remove everything of it, unless it is a blob already."""
        with unavailable_on_azure_error():
            # Azure has no other way to drop blocks than a blob made without them.
            if await self._commit([]):
                await self._delete(self._blob)
        await self.tidy()

    async def tidy(self) -> None:
        """Remove what lies beside it."""
        await self._tidy((await self.look()).beside)

    async def _commit(self, blocks: list[BlobBlock]) -> bool:
        return await create_once(
            self._blob,
            self._turn.writer,
            lambda blob: blob.commit_block_list(
                blocks, metadata={"writer": self._turn.writer}, match_condition=MatchConditions.IfMissing
            ),
        )

    @property
    def _blob(self) -> BlobClient:
        return self._container.get_blob_client(self._name)

    @property
    def _end(self) -> int:
        return self._true[-1].end if self._true else 0

    async def _take_tail(self) -> bytearray:
        """The bytes of the tail, which from now on is the beginning of what comes next."""
        if not (self._true and self._true[-1].tail):
            return bytearray()
        tail = self._true.pop()
        blob = self._beside(_label(tail.turn, tail.start))
        with unavailable_on_azure_error():
            return bytearray(await (await blob.download_blob()).readall())

    async def _stage(self, block: bytes) -> None:
        piece = Piece(self._turn, self._end, len(block))
        with unavailable_on_azure_error():
            await self._blob.stage_block(_label(self._turn, piece.start), block)
        self._true.append(piece)

    async def _put(self, label: str, data: bytes) -> None:
        with unavailable_on_azure_error():
            await self._beside(label).upload_blob(data, overwrite=True)

    async def _check(self) -> int:
        """How many bytes there are, if the turn is still ours: only then does what we stored count for certain."""
        found = await self.look()
        if found.latest != self._turn:
            raise BlobBusy
        keep = {_label(self._turn), *(_label(piece.turn, piece.start) for piece in chain(found.pieces) if piece.tail)}
        with suppress(BlobsUnavailable):  # what cannot be removed now is by the next who comes
            await self._tidy(name for name in found.beside if name.rpartition("/")[2] not in keep)
        return found.size

    async def _tidy(self, names: Iterable[str]) -> None:
        with unavailable_on_azure_error():
            for name in names:
                await self._delete(self._container.get_blob_client(name))

    async def _delete(self, blob: BlobClient) -> None:
        try:
            await blob.delete_blob()
        except HttpResponseError as error:
            if not is_absent(error):
                raise

    def _beside(self, label: str) -> BlobClient:
        return self._container.get_blob_client(f"{GATHERING}{self._name}/{label}")


_TURN = 16
_ID = 28


def _label(turn: Turn, start: int | None = None) -> str:
    """A turn, or the place of a piece in it; of the same length for all blocks, as Azure wants its ids."""
    label = f"{turn.number:08x}{turn.writer}"
    return label if start is None else f"{label}{start:012x}"


def _turn(label: str) -> Turn:
    return Turn(int(label[:8], 16), label[8:_TURN])
