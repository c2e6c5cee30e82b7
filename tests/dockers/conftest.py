"""Makes `check_image` importable: in the image it is a script, and no package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dockers"))
