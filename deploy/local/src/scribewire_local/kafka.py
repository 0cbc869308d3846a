"""A real Apache Kafka on this machine: one KRaft node that listens on the loopback address only."""

import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from scribewire_local.java import find_java, kafka_jars
from scribewire_local.ports import HOST, free_port
from scribewire_local.process import PartFailed
from scribewire_local.server import Server

# Without PerfData nothing is left in the system's folder for temporary files.
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms64m", "-Xmx256m", "-Xshare:auto", "-XX:-UsePerfData")
_QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=3
auto.create.topics.enable=false
delete.topic.enable=true
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=43200
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.coordinator.append.linger.ms=0
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
num.network.threads=2
num.io.threads=4
background.threads=4
unclean.leader.election.enable=false
message.max.bytes=2097152
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""


class Kafka(Server):
    """Kafka in `folder`: records stay there over a stop, a crash and another port.

    Parameters
    ----------
    folder
        Holds the data and the configuration; made if absent.
    port
        The port clients use; None takes a free one, and keeps it over restarts of this object.
    log
        Log file; by default inside `folder`.
    marks
        Environment variables it carries, by which it is found again.
    die_with_parent
        For tests: the kernel ends Kafka when the thread that started it is gone.
    properties
        Kafka's own settings, over ours: more listeners, a place in a cluster.
    cluster_id
        The cluster it belongs to; by default one of its own.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        marks: Mapping[str, str] | None = None,
        die_with_parent: bool = False,
        properties: Mapping[str, str] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        super().__init__("Kafka", log or folder / "kafka.log", death_signal=signal.SIGKILL if die_with_parent else None)
        self.folder = folder
        self.port = port or free_port()
        self._marks = dict(marks or {})
        self._controller_port = free_port()
        self._data = folder / "data"
        self._properties = dict(properties or {})
        self._cluster_id = cluster_id or new_cluster_id()

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{HOST}:{self.port}"

    def spawn(self) -> None:
        """Start it and return at once (the first time after formatting, some 1.5 s, and a download if need be)."""
        java, jars = find_java(), kafka_jars()
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        properties.write_text(
            _PROPERTIES.format(host=HOST, port=self.port, controller=self._controller_port, data=self._data)
            # Of two lines with one name Kafka takes the later.
            + "".join(f"{name}={value}\n" for name, value in self._properties.items())
        )
        command: list[str | Path] = [java, *_JVM, *_QUIET, "-cp", os.pathsep.join(map(str, jars))]
        self._format(command, properties)
        self._process.start([*command, "kafka.Kafka", properties], cwd=self.folder, env=_environment() | self._marks)

    def stop(self) -> None:
        """Let it write its files and leave; kill it if that takes more than 20 s."""
        self._process.stop(signal.SIGTERM, grace=20.0)

    def ready(self) -> bool:
        """Whether a metadata request names at least one live broker."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.settimeout(5.0)
                connection.sendall(_METADATA_REQUEST)
                answer = connection.makefile("rb")
                (size,) = struct.unpack(">i", answer.read(4))
                _correlation, _throttled, brokers = struct.unpack(">iii", answer.read(size)[:12])
        except (OSError, struct.error):
            return False
        return bool(brokers > 0)

    def _format(self, command: list[str | Path], properties: Path) -> None:
        if (self._data / "meta.properties").exists():
            return
        # A crash in mid-format leaves a folder without meta.properties, which holds no records yet.
        shutil.rmtree(self._data, ignore_errors=True)
        tool = [*command, "kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster_id}", "-c", properties]
        done = subprocess.run(tool, capture_output=True, text=True, check=False, env=_environment(), cwd=self.folder)
        if done.returncode != 0:
            msg = f"Kafka could not format {self._data}: {(done.stderr or done.stdout).strip()[-2000:]}"
            raise PartFailed(msg)


def new_cluster_id() -> str:
    """A name for a cluster, as Kafka writes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def _environment() -> dict[str, str]:
    # The caller's class path and JVM options are meant for other programs.
    unwanted = {"CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "KAFKA_OPTS"}
    return {key: value for key, value in os.environ.items() if key not in unwanted}


def _metadata_request() -> bytes:
    client = b"scribewire"
    header = struct.pack(">hhih", 3, 4, 1, len(client)) + client  # Metadata, version 4, correlation 1
    body = struct.pack(">i?", 0, False)  # about no topic, and create none
    return struct.pack(">i", len(header) + len(body)) + header + body


_METADATA_REQUEST = _metadata_request()
