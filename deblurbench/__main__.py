"""`python -m deblurbench`."""

from deblurbench.cli.main import main

main()
