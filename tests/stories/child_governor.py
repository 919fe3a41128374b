"""The complete bot as `governor run` builds it, at the crash story's pace.

Run as `python -m tests.stories.child_governor` with the bot's own environment.
"""

import asyncio

from bot.app.governor import Governor
from bot.settings import read_settings
from tests.stories.child import TIMING


async def main() -> None:
    """Run until killed."""
    async with Governor(read_settings(), timing=TIMING) as governor:
        await governor.run()


if __name__ == "__main__":
    asyncio.run(main())
