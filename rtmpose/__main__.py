"""``python -m rtmpose``: the command line."""

import sys

from rtmpose.cli import main

if __name__ == "__main__":
    sys.exit(main())
