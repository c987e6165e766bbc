#!/usr/bin/env python3
"""Asks many BMCs for the power of their hosts at once, or switches it.

    power.py [-U user] [-P password] [--timeout 10] [-a status|on|off|cycle|reset|soft] [host ...]

Without hosts, ten simulated BMCs, of which one is silent and one has another password. Prints a
line for each as soon as it is known; the exit status is 0 when all of them worked.
"""

import argparse
import sys

import bmclink


def simulated() -> "list[bmclink.Bmc]":
    """Ten BMCs, two of them with a trouble."""
    simulator = bmclink.Simulator(10)
    simulator.set_reachable(False, 3)
    simulator.set_password("admin", "changed", 6)
    return [simulator.bmc(index) for index in range(10)]


def main() -> int:
    parser = argparse.ArgumentParser(description="the power of many hosts")
    parser.add_argument("-U", dest="user", default="admin")
    parser.add_argument("-P", dest="password", default="password")
    parser.add_argument("-a", dest="action", default="status")
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("hosts", nargs="*")
    options = parser.parse_args()
    try:
        credentials = bmclink.Credentials(options.user, options.password)
        bmcs = [bmclink.Bmc(host, credentials=credentials) for host in options.hosts]
        fleet = bmclink.Fleet(bmcs or simulated(), timeout=options.timeout)
        asks = options.action == "status"
        failed = 0
        for row in fleet.power() if asks else fleet.set_power(options.action):
            if row.error is not None:
                failed += 1
                print(f"{row.bmc.host}: {row.error}", flush=True)
            elif asks:
                print(f"{row.bmc.host}: {'on' if row.row['power_on'] else 'off'}", flush=True)
            else:
                print(f"{row.bmc.host}: {options.action}", flush=True)
        print(f"{len(fleet) - failed} of {len(fleet)}")
        return 1 if failed else 0
    except bmclink.BmcError as error:
        print(f"power: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
