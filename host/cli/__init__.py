"""The ``intaglio`` command. Each group of verbs is a module of this package.

Standard output carries results only. Exit status: 0 all well; 1 something failed or differed; 2 the
command line, or a value on it, is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from intaglio.cli.bench import bench
from intaglio.cli.build import build
from intaglio.cli.common import FAILED, OK, USAGE, say
from intaglio.cli.demo import demo
from intaglio.cli.device import doctor, info
from intaglio.cli.flash import flash
from intaglio.cli.keys import keys
from intaglio.cli.list import list_devices
from intaglio.cli.perf import perf
from intaglio.cli.selftest import selftest
from intaglio.cli.sign import sign
from intaglio.cli.verify import verify
from intaglio.errors import InputError, IntaglioError, InvalidKeyError

app = typer.Typer(
    name="intaglio",
    help="Sign trading orders on an FPGA, on its simulation, or in software.",
    epilog="Start with: intaglio demo --device soft:",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (demo, info, doctor, keys, sign, verify, selftest, bench, perf, build, flash):
    app.command()(verb)
app.command("list")(list_devices)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``argv`` (without its name; ``None``: this process's own).

    Returns the exit status of a failure and raises :class:`SystemExit` with it otherwise.
    """
    try:
        app(args=argv, prog_name="intaglio")
    except (InputError, InvalidKeyError) as error:
        say(str(error))
        return USAGE
    except IntaglioError as error:
        say(str(error))
        return FAILED
    return OK
