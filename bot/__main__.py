"""The entry point of `python -m bot`; `governor` calls the same `main`."""

import gc
import sys

# What imports create is kept: to look for garbage among it took a seventh of the start.
gc.set_threshold(50_000, 20, 20)

try:
    from bot.cli.main import main
except KeyboardInterrupt:
    sys.exit(130)  # as everywhere; the constant is not imported yet

if __name__ == "__main__":
    main()
