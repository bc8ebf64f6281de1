"""gRPC's own health service (``grpc.health.v1.Health``), which Kubernetes and proxies ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "grpc.health.v1"
SERVICE = f"{PACKAGE}.Health"
SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3
LOOK_S = 1.0
"""From one look to the next, for who watches."""

Message = Any


def health_handlers(names: Sequence[str], ready: Callable[[], bool]) -> Any:
    """The handlers of the service.

    Args:
        names: Services that may be asked about, besides all of them ("").
        ready: Whether requests are taken.
    """
    answer = _message("HealthCheckResponse")

    def status() -> int:
        return SERVING if ready() else NOT_SERVING

    async def check(message: Message, context: Any) -> Message:
        if message.service not in ("", *names):
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        return answer(status=status())

    async def watch(message: Message, context: Any) -> AsyncIterator[Message]:
        told = None
        while True:
            now = status() if message.service in ("", *names) else UNKNOWN
            if now != told:
                yield answer(status=now)
                told = now
            await asyncio.sleep(LOOK_S)

    forms = {
        "request_deserializer": _message("HealthCheckRequest").FromString,
        "response_serializer": answer.SerializeToString,
    }
    handlers = {
        "Check": grpc.unary_unary_rpc_method_handler(check, **forms),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, **forms),
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


@cache
def _message(name: str) -> Any:
    """The class of a message."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """The two messages, in a pool of their own: clients may have the same names."""
    file = descriptor_pb2.FileDescriptorProto(
        name="grpc/health/v1/health.proto", package=PACKAGE, syntax="proto3"
    )
    field = descriptor_pb2.FieldDescriptorProto
    for message, name, kind in (
        ("HealthCheckRequest", "service", field.TYPE_STRING),
        # An enumeration has the bytes of a number.
        ("HealthCheckResponse", "status", field.TYPE_INT32),
    ):
        added = file.message_type.add(name=message)
        added.field.add(name=name, number=1, type=kind, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool
