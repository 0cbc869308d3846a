"""The data folder: what lies where in it, and the operator key."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from common.keyfile import generate


@dataclass(frozen=True)
class Home:
    """Paths inside one data folder; nothing is made until it is needed."""

    folder: Path

    @property
    def kafka(self) -> Path:
        """Kafka's data."""
        return self.folder / "kafka"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data, or a link to it."""
        return self.folder / "postgres"

    @property
    def postgres_password(self) -> Path:
        """File, mode 0600, with the password of PostgreSQL's role."""
        return self.folder / "postgres.password"

    @property
    def blobs(self) -> Path:
        """Recordings and transcripts."""
        return self.folder / "blobs"

    @property
    def logs(self) -> Path:
        """One log file a part."""
        return self.folder / "logs"

    @property
    def key_file(self) -> Path:
        """File, mode 0600, with the operator key."""
        return self.folder / "operator.key"

    @property
    def encryption_keys(self) -> Path:
        """File, mode 0600, with the keys of what PostgreSQL keeps encrypted."""
        return self.folder / "encryption.keys"

    @property
    def state_file(self) -> Path:
        """What runs, as the supervisor last wrote it."""
        return self.folder / "state.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the supervisor as long as it lives."""
        return self.folder / "supervisor.lock"

    def log(self, name: str) -> Path:
        """Log file of a part."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the folder, its parts for the owner's eyes only, and the keys; what exists stays as it is."""
        if not self.folder.exists():
            # As root, PostgreSQL runs as another user, who must be able to pass through.
            self.folder.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        for part in (self.kafka, self.blobs, self.logs):
            part.mkdir(mode=0o700, exist_ok=True)
        make_key(self.key_file)
        if not self.encryption_keys.exists():
            generate(self.encryption_keys)


def make_key(path: Path) -> None:
    """Write a new random operator key (`sw_` and 32 random bytes, mode 0600) unless the file exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(f"sw_{secrets.token_urlsafe(32)}\n")
