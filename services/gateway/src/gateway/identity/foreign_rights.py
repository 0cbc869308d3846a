"""What a token of another issuer may do here: what it says of it in words of ours, or what is usual."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.principal import SCOPES, Scope

USUAL = "jobs:read jobs:write webhooks account"
"""What a token may do that says nothing of it. A key would go on when the token and the login have ended, and an admin
may do much harm: the issuer has to say so."""


@dataclass(frozen=True)
class ForeignRights:
    """Reads the claims `scope` (RFC 8693: words with spaces between) and `permissions` (Auth0: a list).

    Parameters
    ----------
    usual
        Scopes of a token that has neither a word of ours nor one of ``names``.
    names
        The issuer's words and the scopes each stands for, which may be none; our own scopes stand for themselves.
    """

    usual: frozenset[Scope]
    names: Mapping[str, frozenset[Scope]] = field(default_factory=dict)

    @classmethod
    def read(cls, usual: str, names: Mapping[str, str]) -> "ForeignRights":
        """From settings, where scopes have spaces between; raises ValueError for one that is none."""
        return cls(_scopes(usual.split()), {word: _scopes(scopes.split()) for word, scopes in names.items()})

    def of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """The scopes of a token; an account's role may allow less."""
        scope, permissions = claims.get("scope"), claims.get("permissions")
        words = [
            *(scope.split() if isinstance(scope, str) else ()),
            *(word for word in (permissions if isinstance(permissions, list) else ()) if isinstance(word, str)),
        ]
        # A word that stands for nothing says something all the same: such a token is not the usual one.
        if not any(word in self.names or word in _OWN for word in words):
            return self.usual
        named = {one for word in words for one in self.names.get(word, ())}
        return frozenset(named | {one for one in _OWN if one in words})


_OWN = SCOPES - {"stream"}


def _scopes(words: Iterable[str]) -> frozenset[Scope]:
    given = set(words)
    if unknown := sorted(given - _OWN):
        msg = f"not scopes: {', '.join(unknown)}; there are {', '.join(sorted(_OWN))}"
        raise ValueError(msg)
    return frozenset(scope for scope in _OWN if scope in given)
