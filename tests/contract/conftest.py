"""Every blob store there is, for the contracts."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from common.blobs import Blobs
from common.blobs.azure import AzureBlobs
from common.blobs.folder import FolderBlobs
from common.testing.blobs import MemoryBlobs


@pytest.fixture(params=["memory", "folder", "azure"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryBlobs()
    elif request.param == "folder":
        yield FolderBlobs(tmp_path)
    else:
        async with AzureBlobs(request.getfixturevalue("azurite"), f"c{uuid4().hex}") as azure:
            yield azure
