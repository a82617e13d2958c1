"""`python -m benchproof` is `benchproof`."""

import sys

from benchproof.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
