"""What every part of the running bot is built on."""

from dataclasses import dataclass

import aiohttp

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.metrics import Metrics
from bot.settings import Settings
from bot.store.database import Database
from bot.store.leases import Leases


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Opened once and handed down whole."""

    settings: Settings
    metrics: Metrics
    database: Database
    session: aiohttp.ClientSession
    current: CurrentCatalog
    clock: Clock
    leases: Leases
