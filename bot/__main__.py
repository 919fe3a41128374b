"""The entry point of `python -m bot`; `governor` calls the same `main`."""

import gc

# What imports create is kept: to look for garbage among it took a seventh of the start.
gc.set_threshold(50_000, 20, 20)

from bot.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
