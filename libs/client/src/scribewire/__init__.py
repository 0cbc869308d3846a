"""Python client and command line of Scribewire."""

from scribewire.client import AsyncClient, Client
from scribewire.config import Gateway, discover
from scribewire.errors import (
    FileChanged,
    JobFailed,
    LoggedOut,
    NotConfigured,
    Problem,
    ScribewireError,
    Unreachable,
)
from scribewire.logins import InMemory, LoginFile
from scribewire.models import TERMINAL
from scribewire.verbs.unfinished import unfinished

__all__ = [
    "TERMINAL",
    "AsyncClient",
    "Client",
    "FileChanged",
    "Gateway",
    "InMemory",
    "JobFailed",
    "LoggedOut",
    "LoginFile",
    "NotConfigured",
    "Problem",
    "ScribewireError",
    "Unreachable",
    "discover",
    "unfinished",
]
