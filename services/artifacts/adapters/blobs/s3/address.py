"""Where a bucket is: `s3://bucket/prefix?endpoint=URL&region=NAME`."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from theory.core.errors import Invalid, shown

_FORM = "write s3://bucket/prefix?endpoint=URL&region=NAME, each option at most once, http for loopback alone"
_MAX_PREFIX = 512
"""Half of what a key may have: ours need the rest."""

_is_bucket = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
_is_region = re.compile(r"[a-z0-9][a-z0-9-]{0,62}").fullmatch
_is_segment = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+").fullmatch
"""The characters that every server keeps as they are, and no client has to escape."""


@dataclass(frozen=True)
class Address:
    """A bucket, and what is ours in it."""

    bucket: str
    prefix: str
    """What all our keys begin with: nothing, or a text that ends in a slash."""
    endpoint: str | None
    """Where it is not AWS's own."""
    region: str | None
    """Where it is not the one of the surroundings."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """`Invalid` (`URL_INVALID`) for anything else.

        Credentials never stand in it: they come from where AWS's own tools take them.
        """
        if "@" in url:
            # Without the address: it would carry a password on.
            raise Invalid("URL_INVALID", "credentials never stand in the address of a bucket")
        try:
            return cls._parsed(url)
        except ValueError:
            raise Invalid("URL_INVALID", _FORM, url=shown(url)) from None

    @classmethod
    def _parsed(cls, url: str) -> Self:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        given = dict(pairs)
        endpoint, region = given.pop("endpoint", None), given.pop("region", None)
        path = parts.path.strip("/")
        sound = (
            parts.scheme == "s3"
            and _is_bucket(parts.netloc)
            and len(path) <= _MAX_PREFIX
            and (not path or all(map(_is_segment, path.split("/"))))
            and not parts.fragment
            and not given
            and len(pairs) == (endpoint is not None) + (region is not None)
            and (endpoint is None or _is_endpoint(endpoint))
            and (region is None or _is_region(region))
        )
        if not sound:
            raise ValueError(url)
        return cls(parts.netloc, f"{path}/" if path else "", endpoint, region)


def _is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    host = parts.hostname
    if not host or parts.query or parts.fragment or parts.port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
