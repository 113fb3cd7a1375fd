"""``python -m thimble``: the command line."""

from thimble.cli import main

main()
