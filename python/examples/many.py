#!/usr/bin/env python3
"""Many consoles in one event loop: each is kept connected, sent a command, and watched.

    many.py [--consoles 200] [--seconds 5] [-U user] [-P password] [host ...]

Without hosts, simulated BMCs; one of them is restarted in the middle of it. Prints what happens to
the consoles, and at last how much each of them printed.
"""

import argparse
import asyncio
import collections
import sys

import bmclink
from bmclink import Event, aio


async def follow(name: str, console: aio.Console, printed: "collections.Counter[str]") -> None:
    """Everything that happens at one console."""
    async for event in console.events():
        if event.kind is Event.DATA:
            printed[name] += len(event.data)
        elif event.kind is Event.CONNECTED:
            # Each time, so that it prints something.
            await console.write(b"\r")
        elif event.kind is Event.DISCONNECTED:
            print(f"{event.when:%H:%M:%S} {name}: {event.reason}", flush=True)


async def watch(bmcs: "list[bmclink.Bmc]", seconds: float) -> "collections.Counter[str]":
    """Follows all consoles for so long."""
    printed: "collections.Counter[str]" = collections.Counter({bmc.host: 0 for bmc in bmcs})
    kept = bmclink.ConsoleOptions(keep=bmclink.Keep.ALWAYS)
    consoles = [aio.Bmc.of(bmc).console(kept) for bmc in bmcs]
    followers = [
        asyncio.ensure_future(follow(bmc.host, console, printed))
        for bmc, console in zip(bmcs, consoles)
    ]
    await asyncio.sleep(seconds)
    await asyncio.gather(*(console.close() for console in consoles))
    # They end when their consoles are closed.
    await asyncio.gather(*followers)
    return printed


async def restart(simulator: bmclink.Simulator, after: float) -> None:
    """What nobody hopes for."""
    await asyncio.sleep(after)
    simulator.reset(0)
    simulator.steal_sol(1)


async def run(options: argparse.Namespace) -> int:
    credentials = bmclink.Credentials(options.user, options.password)
    if options.hosts:
        bmcs = [bmclink.Bmc(host, credentials=credentials) for host in options.hosts]
    else:
        simulator = bmclink.Simulator(options.consoles)
        # So that a restart is noticed soon.
        timing = {"keepalive": 1.0, "lost_after": 1.0}
        hasty = bmclink.BmcOptions(timing=timing)
        bmcs = [
            simulator.bmc(index, credentials=credentials, options=hasty)
            for index in range(options.consoles)
        ]
        restarted = asyncio.ensure_future(restart(simulator, options.seconds / 3))
    printed = await watch(bmcs, options.seconds)
    if not options.hosts:
        await restarted
    alive = sum(count > 0 for count in printed.values())
    print(f"{alive} of {len(printed)} consoles printed {sum(printed.values())} bytes")
    return 0 if alive == len(printed) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="many consoles in one event loop")
    parser.add_argument("--consoles", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("-U", dest="user", default="admin")
    parser.add_argument("-P", dest="password", default="password")
    parser.add_argument("hosts", nargs="*")
    try:
        return asyncio.run(run(parser.parse_args()))
    except bmclink.BmcError as error:
        print(f"many: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
