"""`python -m videos.sandbox`: the sandbox without Django, with the options of `manage.py sandbox`."""

import argparse
import sys

from videos.sandbox.options import add_arguments
from videos.sandbox.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m videos.sandbox", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
