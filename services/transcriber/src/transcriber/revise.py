"""Has a job's plug-ins look at the transcript before it is stored."""

import asyncio

from common.manifest import Manifest
from common.plugins.job_settings import detected
from common.plugins.process import open_plugins
from transcriber.merge import Merge


async def revise(merge: Merge, manifest: Manifest, *, seconds: float) -> None:
    """Have the plug-ins of a job change a transcript's texts, in their order.

    Assembly may be repeated; whoever stores a transcript first is right.

    Parameters
    ----------
    merge
        The transcript, with every result added.
    manifest
        Says which plug-ins, and what they left for themselves when they had the audio.
    seconds
        How long they may take.

    Raises
    ------
    Permanent, Transient
        As `common.plugins.process.Plugins` does.
    """
    async with open_plugins(manifest.options.plugins or (), manifest.settings, seconds=seconds) as plugins:
        if not plugins.reads:
            merge.detected_language = detected(manifest.settings)
            return
        text, pieces = await plugins.post_process(*await asyncio.to_thread(merge.texts))
        merge.detected_language = detected((await plugins.outcome()).settings)
    await asyncio.to_thread(merge.revise, text, pieces)
