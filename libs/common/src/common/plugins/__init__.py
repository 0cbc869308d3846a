"""Plug-ins: what may change audio before recognition and the text after it; `docs/plugins.md` says how to write one.

A plug-in is found by its entry point, runs in a process of its own for each job, and needs to import nothing from here.
"""

from common.plugins.audio import RATE, Audio
from common.plugins.base import Plugin, Settings
from common.plugins.installed import GROUP, installed

__all__ = ["GROUP", "RATE", "Audio", "Plugin", "Settings", "installed"]
