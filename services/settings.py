"""How every service is told what it needs: one frozen class per service, read from the environment once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from theory.core.errors import Invalid
from theory.wire.home import socket_url


def _holds_no_password(url: str) -> str:
    if urlsplit(url).password is not None:
        raise ValueError("a URL holds no password; put it into the secret beside it")
    return url


_SERVICES = ("registry", "executor", "artifacts", "resources", "ledger")
_ADDRESSES = frozenset(f"THEORY_{service.upper()}_URL" for service in _SERVICES)

Url = Annotated[str, AfterValidator(_holds_no_password)]
"""An address. It may be logged, so it never holds a credential."""


def beside(name: str, *, scheme: str = "sqlite") -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """A default that is a file or directory of this name in the home, as a URL."""
    slashes = "///" if scheme == "sqlite" else "//"  # a database's path follows three, a file's two
    return Field(default_factory=lambda known: f"{scheme}:{slashes}{quote(str(known['home']))}/{name}")


def attempt_keys() -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """A default that is the file of public keys by which tokens of attempts are known: the same for all of a home."""
    return Field(default_factory=lambda known: known["home"] / "attempts.jwks.json")


def address(service: str) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """Where a service listens, and where its peers find it: `THEORY_<SERVICE>_URL`, else a socket in the home."""
    return Field(
        default_factory=lambda known: socket_url(known["home"], service),
        validation_alias=f"THEORY_{service.upper()}_URL",
    )


class ServiceSettings(BaseSettings):
    """What every service is told. No value of it appears in an error: a mistyped value may be a secret."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, populate_by_name=True, extra="ignore")

    service: ClassVar[str]
    """The service's name, as its variables hold it: `THEORY_<SERVICE>_...`."""

    @property
    def serves(self) -> tuple[str, ...]:
        """The services that a process with these settings serves: no other process of the home may."""
        return (self.service,)

    home: Annotated[Path, AfterValidator(Path.absolute)] = Field(Path(".theory"), validation_alias="THEORY_HOME")
    """The directory of this installation: state, sockets, keys."""

    url: Url
    """Where the service listens: `unix:///path` or `grpc://host:port`."""

    admin_url: Url | None = None
    """Where health, reflection and metrics are served; None serves health alone, beside the service."""

    @classmethod
    def load(cls, given: Mapping[str, object] | None = None) -> Self:
        """Read the environment; fields in `given` win over it.

        `Invalid` (`CONFIG_KEY_UNKNOWN`, `CONFIG_INVALID`) names every variable that is unknown or wrong.
        """
        # pydantic-settings passes over a variable that is no field: a typing error would become a default.
        known = {cls._variable(name) for name in cls.model_fields}
        prefix = f"THEORY_{cls.service.upper()}_"
        if stray := sorted(key for key in os.environ if key.startswith(prefix) and key not in known):
            raise Invalid("CONFIG_KEY_UNKNOWN", f"not a setting: {', '.join(stray)}")
        try:
            return cls(_env_prefix=prefix, **(given or {}))  # type: ignore[arg-type]  # pydantic checks the fields
        except ValidationError as error:
            # A default that is made of a wrong value is no fault of its own.
            faults = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
            wrong = [f"{cls._variable(str(each['loc'][0]))}: {each['msg']}" for each in faults]
            raise Invalid("CONFIG_INVALID", "; ".join(wrong).replace("Value error, ", "")) from None

    @classmethod
    def embedded(cls, home: Path, url: str) -> Self:
        """The settings of a service that shares one process and one address with the other four."""
        shared = {name: url for name, field in cls.model_fields.items() if field.validation_alias in _ADDRESSES}
        return cls.load({"home": home, **shared})

    @classmethod
    def _variable(cls, field: str) -> str:
        if field.startswith("THEORY_"):  # faults are told by the alias where a field has one
            return field
        alias = cls.model_fields[field].validation_alias if field in cls.model_fields else None
        return alias if isinstance(alias, str) else f"THEORY_{cls.service}_{field}".upper()


class EmbeddedSettings(ServiceSettings):
    """What a process that serves all five is told."""

    service: ClassVar[str] = "services"

    @property
    def serves(self) -> tuple[str, ...]:
        """All five."""
        return _SERVICES

    url: Url = Field(
        default_factory=lambda known: socket_url(known["home"], "theory"),
        validation_alias="THEORY_URL",
    )
    """Where all of them listen."""
