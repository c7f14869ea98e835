"""What the tests of hostile files share: makers of drafts lie beside the unit tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
