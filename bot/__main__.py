"""The entry point of `python -m bot`; `governor` calls the same `main`."""

from bot.cli.main import main

if __name__ == "__main__":
    main()
