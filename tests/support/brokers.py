"""Three Kafka brokers on this machine, each also a controller: a record is acknowledged when two of them have it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from scribewire_local.kafka import Kafka, new_cluster_id
from scribewire_local.ports import HOST, free_port
from support.platform import folder_of
from support.waiting import until

COUNT = 3


@contextmanager
def three_brokers() -> Iterator[list[Kafka]]:
    """The brokers, formed into one cluster inside the block."""
    ports = [free_port() for _ in range(COUNT)]
    controllers = [free_port() for _ in range(COUNT)]
    voters = ",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(controllers, start=1))
    cluster = new_cluster_id()
    with ExitStack() as stack:
        brokers = [
            Kafka(
                stack.enter_context(folder_of(f"kafka-{node}")),
                port=port,
                die_with_parent=True,
                cluster_id=cluster,
                properties={
                    "node.id": str(node),
                    "controller.quorum.voters": voters,
                    "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
                    "default.replication.factor": "3",
                    "min.insync.replicas": "2",
                    "offsets.topic.replication.factor": "3",
                    "transaction.state.log.replication.factor": "3",
                    "transaction.state.log.min.isr": "2",
                },
            )
            for node, (port, controller) in enumerate(zip(ports, controllers, strict=True), start=1)
        ]
        for broker in brokers:  # none is ready before the others vote
            # Asked to leave, the last two wait in vain for a vote about it; their data goes with them anyway.
            stack.callback(broker.kill)
            broker.spawn()
        for broker in brokers:
            until(broker.ready, seconds=90, why=f"the broker at {broker.bootstrap} answers")
        yield brokers
