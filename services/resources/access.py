"""Who may call what of keys, queues, volumes and secrets."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, WITH_ATTEMPTS, Role, Scope, only

_KV = "/theory.api.resources.v1.KVService"
_QUEUE = "/theory.api.resources.v1.QueueService"
_VOLUME = "/theory.api.resources.v1.VolumeService"
_SECRET = "/theory.api.resources.v1.SecretService"  # noqa: S105 - a method's path
_EXECUTOR = only(Role.EXECUTOR)

ACCESS: Mapping[str, Scope] = {
    f"{_KV}/GetCapabilities": WITH_ATTEMPTS,
    f"{_KV}/Get": WITH_ATTEMPTS,
    f"{_KV}/Put": WITH_ATTEMPTS,
    f"{_KV}/Delete": WITH_ATTEMPTS,
    f"{_KV}/Incr": WITH_ATTEMPTS,
    f"{_KV}/BeginPlan": _EXECUTOR,
    f"{_KV}/EndPlan": _EXECUTOR,
    f"{_QUEUE}/GetCapabilities": WITH_ATTEMPTS,
    f"{_QUEUE}/Publish": WITH_ATTEMPTS,
    f"{_QUEUE}/Consume": WITH_ATTEMPTS,
    f"{_QUEUE}/Ack": WITH_ATTEMPTS,
    f"{_QUEUE}/Nack": WITH_ATTEMPTS,
    f"{_QUEUE}/Extend": WITH_ATTEMPTS,
    f"{_QUEUE}/Redrive": WITH_ATTEMPTS,
    f"{_QUEUE}/GetStats": WITH_ATTEMPTS,
    f"{_QUEUE}/BeginPlan": _EXECUTOR,
    f"{_QUEUE}/EndPlan": _EXECUTOR,
    f"{_VOLUME}/GetCapabilities": ANYONE,
    f"{_VOLUME}/CreateVolume": ANYONE,
    f"{_VOLUME}/DeleteVolume": ANYONE,
    f"{_VOLUME}/ListVolumes": ANYONE,
    f"{_VOLUME}/LocateVolume": _EXECUTOR,
    f"{_VOLUME}/EndPlan": _EXECUTOR,
    f"{_SECRET}/GetCapabilities": ANYONE,
    f"{_SECRET}/Check": ANYONE,
    f"{_SECRET}/Resolve": _EXECUTOR,
    f"{_SECRET}/Bind": _EXECUTOR,
}
