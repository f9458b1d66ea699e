"""Who may call what of keys, queues, volumes and secrets."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, Role, Scope, only

_KV = "/theory.api.resources.v1.KVService"
_QUEUE = "/theory.api.resources.v1.QueueService"
_VOLUME = "/theory.api.resources.v1.VolumeService"
_SECRET = "/theory.api.resources.v1.SecretService"  # noqa: S105 - a method's path
_EXECUTOR = only(Role.EXECUTOR)

ACCESS: Mapping[str, Scope] = {
    f"{_KV}/GetCapabilities": ANYONE,
    f"{_KV}/Get": ANYONE,
    f"{_KV}/Put": ANYONE,
    f"{_KV}/Delete": ANYONE,
    f"{_KV}/Incr": ANYONE,
    f"{_KV}/BeginPlan": _EXECUTOR,
    f"{_KV}/EndPlan": _EXECUTOR,
    f"{_QUEUE}/GetCapabilities": ANYONE,
    f"{_QUEUE}/Publish": ANYONE,
    f"{_QUEUE}/Consume": ANYONE,
    f"{_QUEUE}/Ack": ANYONE,
    f"{_QUEUE}/Nack": ANYONE,
    f"{_QUEUE}/Extend": ANYONE,
    f"{_QUEUE}/Redrive": ANYONE,
    f"{_QUEUE}/GetStats": ANYONE,
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
