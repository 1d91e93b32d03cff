"""``python -m tailwise`` is the ``tailwise`` command."""

from tailwise.cli import main

if __name__ == "__main__":
    main()
