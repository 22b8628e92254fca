"""Let `python -m makeway` be the command `makeway`."""

from makeway.cli.main import main

main()
