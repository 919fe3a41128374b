"""Writes to a Prometheus by its remote-write protocol: native histograms, and samples that come late.

https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

import struct
from collections.abc import Iterable, Mapping

import aiohttp


async def write_native_histogram(
    url: str, name: str, labels: Mapping[str, str], counts: Iterable[tuple[float, int]]
) -> None:
    """Write a histogram whose events all lie in one bucket: at each time (epoch seconds) so many so far."""
    await _write(url, [_labels(name, labels) + b"".join(_field(4, _histogram(*each)) for each in counts)])


async def write_samples(
    url: str, name: str, series: Iterable[tuple[Mapping[str, str], Iterable[tuple[float, float]]]]
) -> None:
    """Write samples of series with these labels: times in epoch seconds, and values. Oldest first in each."""
    written = [
        _labels(name, labels) + b"".join(_field(2, _sample(at, value)) for at, value in samples)
        for labels, samples in series
    ]
    await _write(url, written)


async def _write(url: str, series: Iterable[bytes]) -> None:
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{url}/api/v1/write",
            data=_uncompressed(b"".join(_field(1, one) for one in series)),
            headers=headers,
        ) as response,
    ):
        assert response.status == 204, await response.text()


def _labels(name: str, labels: Mapping[str, str]) -> bytes:
    every = {"__name__": name, **labels}
    return b"".join(
        _field(1, _field(1, key.encode()) + _field(2, every[key].encode())) for key in sorted(every)
    )


def _sample(at: float, value: float) -> bytes:
    return _tag(1, 1) + struct.pack("<d", value) + _tag(2, 0) + _varint(round(at * 1000))


def _histogram(at: float, count: int) -> bytes:
    """Return a `Histogram` of schema 0 whose bucket 0 holds all events."""
    span = _tag(1, 0) + _varint(0) + _tag(2, 0) + _varint(1)
    return b"".join(
        (
            _tag(1, 0) + _varint(count),
            _tag(3, 1) + struct.pack("<d", float(count)),
            _tag(5, 1) + struct.pack("<d", 1e-128),
            _field(11, span),
            _field(12, _varint(2 * count)),
            _tag(15, 0) + _varint(round(at * 1000)),
        )
    )


def _uncompressed(message: bytes) -> bytes:
    """Return a message in the form of snappy, as literals."""
    parts = [_varint(len(message))]
    for first in range(0, len(message), 65_536):
        part = message[first : first + 65_536]
        parts += [bytes([61 << 2]), struct.pack("<H", len(part) - 1), part]
    return b"".join(parts)


def _field(number: int, content: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(content)) + content


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    octets = []
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])
