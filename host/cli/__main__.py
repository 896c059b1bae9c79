"""``python -m intaglio.cli``."""

import sys

from intaglio.cli import main

sys.exit(main())
