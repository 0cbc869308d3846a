"""Bench B2: what others notice of 64 uploads at once, and what memory an upload takes.

A real gateway in a process of its own, with a real Kafka and PostgreSQL. One client asks for a job every few
milliseconds, over one connection: on an idle gateway, then while another process sends 64 forms of 4 MiB at once,
each over a connection of its own. A ratio is of one round's 99th percentiles. The sender is on the same machine and
takes its share of the cores, which is part of what is measured. Run by ``make bench``.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil

from support.bench import Result, arguments, result, told
from support.gateway import KEY, form, prepare
from support.gateway_process import gateway_process
from support.platform import running_kafka, running_postgres

MIB = 1024 * 1024
EVERY = 0.005
HEAD = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
TAIL = b"\r\n--frontier--\r\n"


async def upload(url: str, mib: int, salt: int) -> None:
    """Send one form over a connection of its own."""
    address = urlsplit(url)
    body = HEAD + salt.to_bytes(8) + bytes(mib * MIB) + TAIL
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {address.netloc}\r\nx-api-key: {KEY}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=frontier\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(head.encode())
    writer.write(body)
    answer = await reader.read(64)
    writer.close()
    if not answer.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(answer)


async def waves() -> None:
    """The sending process: for each line it is given, everything at once, then a line back."""
    url, at_once, mib = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        await asyncio.gather(*(upload(url, mib, number) for number in range(at_once)))
        print("sent", flush=True)


@asynccontextmanager
async def sender(url: str, at_once: int, mib: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that sends a wave for each line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "waves", url, str(at_once), str(mib)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def wave(process: asyncio.subprocess.Process) -> None:
    """Have one wave sent; returns when every upload was answered."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"go\n")
    if await process.stdout.readline() != b"sent\n":
        raise RuntimeError("the sender broke")


class Probe:
    """Asks for one job again and again, and watches the gateway's memory meanwhile."""

    def __init__(self, http: aiohttp.ClientSession, job: str, gateway: psutil.Process) -> None:
        self._http = http
        self._job = job
        self._gateway = gateway
        self.peak = 0

    async def _ask(self) -> float:
        begun = time.perf_counter()
        async with self._http.get(f"/v1/jobs/{self._job}") as answer:
            answer.raise_for_status()
            await answer.read()
        return time.perf_counter() - begun

    async def during(self, work: asyncio.Future[None]) -> list[float]:
        """Seconds that each answer took while work goes on."""
        seconds: list[float] = []
        while not work.done():
            seconds.append(await self._ask())
            self.peak = max(self.peak, self._gateway.memory_info().rss)
            await asyncio.sleep(EVERY)
        await work
        return seconds


def p99(seconds: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(seconds, n=100)[98]


async def compare(folder: Path, *, rounds: int, at_once: int, mib: int, idle: float, sent: int) -> list[Result]:
    """Idle and busy take turns; the figures go to standard output, the results are returned."""
    with running_kafka() as kafka, running_postgres() as postgres:
        await prepare(kafka.bootstrap, postgres.dsn)
        async with (
            gateway_process(kafka.bootstrap, postgres.dsn, folder) as (process, url),
            sender(url, at_once, mib) as sending,
            aiohttp.ClientSession(url, headers={"x-api-key": KEY}) as http,
        ):
            async with http.post("/v1/jobs", data=form(b"RIFF sound")) as answer:
                job = (await answer.json())["id"]
            gateway = psutil.Process(process.pid)
            probe = Probe(http, job, gateway)
            await probe.during(asyncio.ensure_future(asyncio.sleep(1)))
            resident = gateway.memory_info().rss
            quiet, busy = [], []
            for number in range(1, rounds + 1):
                calm = await probe.during(asyncio.ensure_future(asyncio.sleep(idle)))
                loud: list[float] = []
                for _ in range(sent):
                    loud += await probe.during(asyncio.ensure_future(wave(sending)))
                quiet.append(p99(calm))
                busy.append(p99(loud))
                print(
                    f"round {number}  p99 idle {quiet[-1] * 1000:6.2f} ms of {len(calm)}"
                    f"  busy {busy[-1] * 1000:6.2f} ms of {len(loud)}",
                    flush=True,
                )
            each = (probe.peak - resident) / MIB / at_once
    name = f"B2 {at_once} uploads of {mib} MiB at once"
    figures = f"{statistics.median(busy) * 1000:.1f} against {statistics.median(quiet) * 1000:.1f} ms"
    ratios = [b / q for b, q in zip(busy, quiet, strict=True)]
    return [
        result(f"{name}: p99 of another GET", "idle", ratios, aim=2.0, at_most=True, figures=figures),
        result(f"{name}: resident MiB of a connection, over", "idle", [each], aim=2.0, at_most=True),
    ]


def main() -> int:
    """Run the bench; 1 when an aim was missed."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--mib", type=int, default=4)
    parser.add_argument("--idle", type=float, default=3.0, help="seconds of the idle turn")
    parser.add_argument("--waves", type=int, default=4, help="waves of uploads in the busy turn")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the bytes go; by default memory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder if given.folder.is_dir() else None) as folder:
        results = asyncio.run(
            compare(
                Path(folder),
                rounds=given.rounds,
                at_once=given.at_once,
                mib=given.mib,
                idle=given.idle,
                sent=given.waves,
            )
        )
    return told(given.output, results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["waves"]:
        asyncio.run(waves())
    else:
        sys.exit(main())
