"""What ``sign_many`` costs the host over descriptor rings, before the golden model.

``python -m intaglio.sim.ring_costs`` is :mod:`intaglio.bench.rings` with the golden model as the
device. The model takes a hundred times the driver's time for each signature, so that the driver
finds caches cold; a device in a slot leaves them to it.
"""

from __future__ import annotations

import sys
import time

from intaglio.bench import rings
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.pcie import ModelFunction


class TimedModel(ModelFunction):
    """``spent_s`` is the processor time of the thread that works for the model."""

    def __init__(self) -> None:
        self.spent_s = 0.0
        super().__init__(GoldenCore)

    def write(self, offset: int, value: int) -> None:
        began = time.thread_time()
        super().write(offset, value)
        self.spent_s += time.thread_time() - began


if __name__ == "__main__":
    sys.exit(rings.main(new_function=TimedModel, description=__doc__))
