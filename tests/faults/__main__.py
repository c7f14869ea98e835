"""python -m tests.faults [--quick] [WORD…]: a table of cases and outcomes; exit code 1 where one is not right."""

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.faults import Outcome, cases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", help="only cases whose name has one of these words")
    parser.add_argument("--quick", action="store_true", help="leave out the slow cases")
    asked = parser.parse_args()
    chosen = [
        one
        for one in cases()
        if not (asked.quick and one.is_slow) and (not asked.words or any(word in one.name for word in asked.words))
    ]
    wrong_n, kind = 0, None
    for one in chosen:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="xianbao-fault-") as folder:
            try:
                outcome = one.run(Path(folder))
            except Exception:
                outcome = Outcome(traceback.format_exc(limit=-1).strip().replace("\n", " "), right=False)
        wrong_n += not outcome.right
        if one.kind != kind:
            kind = one.kind
            print(f"\n{kind}")
        mark = "right" if outcome.right else "WRONG"
        print(f"  {mark} {time.monotonic() - started:6.1f} s  {one.tried} → {outcome.words}", flush=True)
    print(f"\n{len(chosen)} cases, {wrong_n} wrong")
    return 1 if wrong_n or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
