"""A command run as the child of a small process, and what it cost as one line of JSON.

Not run from the benchmark itself, because Linux counts what the parent held at the fork into the peak memory
of the child. What is left of that is this process, some 10 MB: no smaller peak can be told apart.

    python -I -S launcher.py RESULT COMMAND [ARGUMENT...]
"""

import json
import os
import sys
import time


def main() -> None:
    """Run a command and write to the file RESULT what it took."""
    result, *command = sys.argv[1:]
    load = os.getloadavg()[0]
    begin = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - begin
    cost = {
        "wall": wall,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "peak": used.ru_maxrss * 1024,
        "load": load,
    }
    with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123  (to import pathlib would double the floor)
        json.dump(cost, file)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
