"""Moto's server for CloudWatch, and CloudWatch's errors as AWS documents them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import aiohttp
from aiohttp import web
from botocore.config import Config
from botocore.session import Session
from moto.server import ThreadedMotoServer

from tests.support.monitoring.serving import Handler
from tests.support.servers import free_port

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "s3cret"}


class CloudWatch:
    """A running CloudWatch, to which a test writes metrics."""

    def __init__(self, url: str) -> None:
        self.url = url
        config = Config(retries={"total_max_attempts": 1})
        self._client = Session().create_client(
            "cloudwatch", region_name="eu-central-1", endpoint_url=url, config=config, **KEYS
        )

    async def count(self, metric: str, at: datetime, events: float, balancer: str = "app/shop/1") -> None:
        """Write a data point."""
        point = {
            "MetricName": metric,
            "Dimensions": [{"Name": "LoadBalancer", "Value": balancer}],
            "Timestamp": at,
            "Value": events,
        }
        await asyncio.to_thread(self._client.put_metric_data, Namespace="Shop", MetricData=[point])


@asynccontextmanager
async def running_cloudwatch() -> AsyncIterator[CloudWatch]:
    """Run the server within the block."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    await asyncio.to_thread(server.start)
    try:
        url = f"http://127.0.0.1:{port}"
        # All its servers in a process share what they keep.
        async with aiohttp.ClientSession() as session, session.post(f"{url}/moto-api/reset") as response:
            assert response.status == 200
        yield CloudWatch(url)
    finally:
        await asyncio.to_thread(server.stop)


def refusing(status: int, code: str, message: str) -> Handler:
    """Return a handler that answers every request by an error of AWS."""

    async def answer(_request: web.Request) -> web.Response:
        body = json.dumps({"__type": f"com.amazonaws.cloudwatch#{code}", "message": message})
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return web.Response(status=status, text=body, headers=headers)

    return answer
