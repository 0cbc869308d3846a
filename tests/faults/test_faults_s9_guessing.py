"""S9: thousands of logins from one place and from 500: how few passwords are looked at, whatever happens to clocks."""

import time
from collections.abc import Callable
from itertools import cycle, islice

import pytest
from pydantic import SecretStr

from common.crypt import Crypt
from common.db.migrate import migrate
from support.gateway import encryption_keys
from support.guessing import IN, RIGHT, Attempt, Gateways, gateways
from support.platform import fresh_database
from support.promises import FULL, Tally, scenario
from support.stepped_clock import SteppedClock

LOGINS = 10_000 if FULL else 300
PLACES = [f"203.0.{number // 250}.{number % 250 + 1}" for number in range(500 if FULL else 250)]
HOUR, DAY = 3600, 86_400

REFUSED = "too-many-attempts"
JUDGED = "bad-credentials"

World = tuple[str, Crypt, SteppedClock]


@pytest.fixture(scope="module")
async def world(postgres_server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    dsn = fresh_database(postgres_server_dsn)
    await migrate(SecretStr(dsn))
    crypt = Crypt.of_file(encryption_keys(tmp_path_factory.mktemp("guessing")))
    return dsn, crypt, await SteppedClock.make(dsn)


async def test_one_place_that_guesses_at_one_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn, crypt, clock = world
    guesses = [Attempt("victim", "192.0.2.66") for _ in range(LOGINS)]
    few = guesses[:12]
    with scenario("S9", f"{LOGINS} logins from one place at one name") as tally:
        async with gateways(dsn, crypt) as three:
            await three.somebody("victim")
            checked, met = await three.flood(guesses)
            assert (checked, met) == (5, {JUDGED: 5, REFUSED: LOGINS - 5})
        async with gateways(dsn, crypt) as three:
            again, _ = await three.flood(few)
            assert again == 0, "what was counted outlasts a restart"
            for off in (DAY, -DAY):
                with monkeypatch.context() as wrong:
                    wrong.setattr(time, "time", _off(off))
                    assert (await three.flood(few))[0] == 0, "no limit goes by the clock of a gateway"
            names, _ = await three.flood(Attempt(f"nobody {n}", "192.0.2.67") for n in range(LOGINS // 3))
            assert names == 30, "one place that tries a password at many names"
            # Waits of 1, 2, 4 … 512 s, and then of 900 s.
            hour = await guess_on(three, clock, lambda: few[0])
            assert hour == 12
            # PostgreSQL's own clock set forward is as if the time had passed; set back it gives one attempt, no more.
            await clock.step(DAY)
            forward, _ = await three.flood(few)
            await clock.step(-DAY)
            back, _ = await three.flood(few)
            assert (forward, back) == (5, 1)
        note(tally, LOGINS, checked, hour)
        tally.figures |= {"checked at many names": names, "checked after a restart": again}
        tally.figures |= {"checked after a day's step of the clock": forward + back}


async def test_many_places_that_guess_at_one_name(world: World) -> None:
    dsn, crypt, clock = world
    home, at_home_tomorrow, elsewhere = "2001:db8:7:1::1", "2001:db8:7:1:a:b:c:d", "198.51.100.9"
    turns = cycle(PLACES)
    with scenario("S9", f"{LOGINS} logins from {len(PLACES)} places at one name") as tally:
        async with gateways(dsn, crypt) as three:
            await three.somebody("person")
            assert await three.meets(Attempt("person", home, RIGHT)) == IN
            checked, met = await three.flood(Attempt("person", place) for place in islice(turns, LOGINS))
            assert (checked, met) == (20, {JUDGED: 20, REFUSED: LOGINS - 20})
        async with gateways(dsn, crypt) as three:
            assert (await three.flood(Attempt("person", place) for place in PLACES[:12]))[0] == 0
            # Who was there before is not made to wait for any of them, nor by the next address of the same network.
            assert await three.meets(Attempt("person", home, RIGHT)) == IN
            hour = await guess_on(three, clock, lambda: Attempt("person", next(turns)))
            assert hour == 6 + (HOUR - 63) // 60, "1, 2, 4 … 32 s, and then once a minute"
            assert await three.meets(Attempt("person", at_home_tomorrow, RIGHT)) == IN
            # A stranger waits, even with the right password, and never for longer than a minute at a time.
            stranger = Attempt("person", elsewhere, RIGHT)
            assert await three.meets(stranger) == REFUSED
            assert stranger.wait <= 60
            await clock.step(stranger.wait)
            assert await three.meets(stranger) == IN
            await clock.step(-DAY)
            assert await three.meets(Attempt("person", home, RIGHT)) == IN
        note(tally, LOGINS, checked, hour)


async def guess_on(guessed: Gateways, clock: SteppedClock, attempt: Callable[[], Attempt]) -> int:
    """Guess for an hour, again in the very moment each wait is over; how many guesses were looked at."""
    end, judged = clock.passed + HOUR, 0
    while True:
        sent = attempt()
        if await guessed.meets(sent) == JUDGED:
            judged += 1
        elif clock.passed + sent.wait > end:
            return judged
        else:
            await clock.step(sent.wait)


def note(tally: Tally, sent: int, at_once: int, hour: int) -> None:
    """Write down what was sent and what was looked at."""
    tally.faults = sent
    tally.figures |= {"passwords checked": at_once, "checked in the hour after": hour}


def _off(seconds: float) -> Callable[[], float]:
    right = time.time

    def wrong() -> float:
        return right() + seconds

    return wrong
