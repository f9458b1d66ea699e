"""The port to what signs the tokens of attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from theory.core.grant import AttemptGrant
from theory.core.secret import Secret


@dataclass(frozen=True, slots=True)
class AttemptToken:
    """A bearer token of one attempt. Whoever holds it is the attempt, until it expires."""

    text: Secret
    expire_time: datetime
    """Get the next one well before."""


class Signer(Protocol):
    """Signs for this executor. Its private key stays inside."""

    async def sign(self, grant: AttemptGrant) -> AttemptToken:
        """A token that holds for 60 seconds from now, with an id of its own.

        `Invalid` (`TOKEN_TOO_LARGE`) where the grant does not fit; `Denied` (`FILE_NOT_PRIVATE`), `Corrupt`
        (`STORE_CORRUPT`) where the key cannot be used.
        """
        ...
