"""The plug-ins of one job, one after another, and the checks of what each gives back; runs in the plug-in process."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.plugins.audio import Audio
from common.plugins.base import Plugin, Settings
from common.plugins.installed import installed
from common.plugins.wire import words

LARGEST_SETTINGS = 64 * 1024
"""Bytes of a job's settings as JSON."""

GROWTH = 4
"""How many times as long as before a plug-in may make a text, and a page more."""

_PAGE = 4096


class PluginFailed(Exception):  # noqa: N818 - what happened
    """A plug-in broke off or gave back what it may not; ``what`` says it in words that may follow its name."""

    def __init__(self, plugin: str, what: str) -> None:
        super().__init__(what)
        self.plugin = plugin
        self.what = what


class NotInstalled(Exception):  # noqa: N818 - what happened
    """A plug-in that was asked for is not installed here."""


class Chain:
    """Plug-ins in the order they were asked for, with the settings they share.

    Parameters
    ----------
    names
        Which, in which order.
    settings
        The job's settings; changed by the plug-ins.
    running
        Told the name of a plug-in before its code runs.

    Raises
    ------
    NotInstalled
        When one of them is not.
    PluginFailed
        When one cannot be imported or made.
    """

    def __init__(self, names: Sequence[str], settings: Settings, running: Callable[[str], None]) -> None:
        self.settings = settings
        self.changed_by: dict[str, str] = {}
        """Which plug-in changed a setting last."""
        self._running = running
        known = installed()
        if missing := [name for name in names if name not in known]:
            raise NotInstalled(missing[0])
        plugins = {name: self._made(name, known[name].load) for name in names}
        self._before = {name: one for name, one in plugins.items() if _has(one, "pre_process")}
        self._after = {name: one for name, one in plugins.items() if _has(one, "post_process")}

    @property
    def hears(self) -> bool:
        """Whether any of them has something to do with audio."""
        return bool(self._before)

    @property
    def reads(self) -> bool:
        """Whether any of them has something to do with text."""
        return bool(self._after)

    def pre_process(self, passage: Audio) -> list[Audio]:
        """A passage through all plug-ins: the parts that are left of it, by time."""
        parts = [passage]
        for name, plugin in self._before.items():
            changed: list[Audio] = []
            for part in parts:
                given = self._call(name, plugin.pre_process, part)
                changed += _parts(name, part, given)
            parts = changed
        return parts

    def post_process(self, text: str, pieces: Sequence[str]) -> tuple[str, list[str]]:
        """A text through all plug-ins, and its pieces through those that changed it."""
        pieces = list(pieces)
        for name, plugin in self._after.items():
            changed = _text(name, text, self._call(name, plugin.post_process, text))
            if changed != text:
                pieces = [_text(name, piece, self._call(name, plugin.post_process, piece)) for piece in pieces]
            text = changed
        return text, pieces

    def _made(self, name: str, load: Callable[[], Any]) -> Plugin:
        self._running(name)
        try:
            plugin: Plugin = load()()
            said = plugin.get_name()
        except Exception as error:
            raise PluginFailed(name, f"cannot be started ({type(error).__name__})") from error
        if said != name:
            raise PluginFailed(name, "has another name than its entry point")
        return plugin

    def _call(self, name: str, method: Callable[[Any, Settings], Any], what: Any) -> Any:
        self._running(name)
        before = dict(self.settings)
        try:
            given = method(what, self.settings)
        except Exception as error:
            raise PluginFailed(name, f"failed with {type(error).__name__}") from error
        self._check_settings(name, before)
        return given

    def _check_settings(self, name: str, before: Mapping[str, Any]) -> None:
        try:
            size = len(words(self.settings))
        except (TypeError, ValueError, RecursionError) as error:
            raise PluginFailed(name, "left settings that are no JSON") from error
        if size > LARGEST_SETTINGS or not all(isinstance(key, str) for key in self.settings):
            raise PluginFailed(name, "left settings that are too large or have names that are no text")
        for key in self.settings.keys() | before.keys():
            if self.settings.get(key) != before.get(key):
                self.changed_by[key] = name


def _has(plugin: Plugin, method: str) -> bool:
    """Whether a plug-in has a method of its own; it may leave out what it has no use for."""
    own = getattr(type(plugin), method, None)
    return own is not None and own is not getattr(Plugin, method)


def _parts(name: str, whole: Audio, given: Any) -> list[Audio]:
    parts = [given] if isinstance(given, Audio) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, Audio) for part in parts):
        raise PluginFailed(name, "gave back something that is no audio")
    free, end = whole.at, whole.at + whole.samples
    for part in parts:
        if not isinstance(part.pcm, bytes) or len(part.pcm) % 2 or part.rate != whole.rate:
            raise PluginFailed(name, "gave back audio of another form")
        if not isinstance(part.at, int) or part.at < free or part.at + part.samples > end:
            raise PluginFailed(name, "gave back audio that is longer than, or lies outside of, what it was given")
        free = part.at + part.samples
    return [part for part in parts if part.samples]


def _text(name: str, before: str, given: Any) -> str:
    if not isinstance(given, str):
        raise PluginFailed(name, "gave back something that is no text")
    if len(given) > GROWTH * len(before) + _PAGE:
        raise PluginFailed(name, "gave back a text that is much longer than what it was given")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        raise PluginFailed(name, "gave back a text with characters that cannot be written") from error
    return given
