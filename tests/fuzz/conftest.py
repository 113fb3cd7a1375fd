from __future__ import annotations

import sys
from pathlib import Path

# the small network whose image is fuzzed is the one whose bits are flipped there
sys.path.insert(0, str(Path(__file__).parents[1] / "model_image"))
