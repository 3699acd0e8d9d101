"""`python -m cli`: the command without its script, for the supervisor's children."""

from cli.main import main

main()
