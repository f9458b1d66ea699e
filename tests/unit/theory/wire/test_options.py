"""What gRPC is told."""

import json

from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.ledger.v1 import ledger_pb2
from theory.api.resources.v1 import kv_pb2, queue_pb2
from theory.wire.options import CHANNEL_OPTIONS, NOT_IDEMPOTENT, SERVER_OPTIONS, service_config


def test_methods_that_must_not_be_sent_twice_exist() -> None:
    services = {
        each.full_name: {method.name for method in each.methods}
        for file in (artifacts_pb2.DESCRIPTOR, ledger_pb2.DESCRIPTOR, kv_pb2.DESCRIPTOR, queue_pb2.DESCRIPTOR)
        for each in file.services_by_name.values()
    }
    assert all(method in services[service] for service, method in NOT_IDEMPOTENT)


def test_they_have_no_retry_policy_and_the_others_have() -> None:
    config = json.loads(service_config())
    for method in config["methodConfig"]:
        assert ("retryPolicy" in method) is (method["name"] == [{}])
    names = [name for each in config["methodConfig"] for name in each["name"] if name]
    assert {(name["service"], name["method"]) for name in names} == set(NOT_IDEMPOTENT)


def test_a_port_is_not_shared_by_processes() -> None:
    assert dict(SERVER_OPTIONS)["grpc.so_reuseport"] == 0


def test_both_sides_agree_on_the_largest_message() -> None:
    server, channel = dict(SERVER_OPTIONS), dict(CHANNEL_OPTIONS)
    for option in ("grpc.max_receive_message_length", "grpc.max_send_message_length", "grpc.max_metadata_size"):
        assert server[option] == channel[option]
