"""`python -m latentry` is the command `latentry`."""

from latentry_cli import main

if __name__ == "__main__":
    main()
