"""The Open Inference Protocol over gRPC, next to HTTP in the same process."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import grpc

from rtmpose.errors import OutputError, RtmposeError
from rtmpose.serve.client_address import client_address
from rtmpose.serve.faults import ServiceError
from rtmpose.serve.grpc_health import health_handlers
from rtmpose.serve.guard import token_is_right
from rtmpose.serve.oip_messages import Message, infer_response, message_class, read_infer
from rtmpose.serve.oip_model import VERSION, ProtocolModel
from rtmpose.serve.rate_limit import RateLimit
from rtmpose.serve.service import Service, fault_of

log = logging.getLogger(__name__)

SERVICE = "inference.GRPCInferenceService"
OPEN_CALLS = ("ServerLive", "ServerReady")
"""Without a token, for what watches over the service."""
CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
BROKEN = "an error of the service; see its log"
ROOM_BYTES = 64 * 1024
"""Of a message, beyond its largest body."""

Call = Callable[[Message, str], Awaitable[Message]]


class GrpcServer:
    """Listens for gRPC.

    Args:
        service: The service.
        model: Its model.
        port: 0 takes a free one.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, service: Service, model: ProtocolModel, port: int) -> None:
        self._service = service
        self._model = model
        self._rate = RateLimit(service.settings.rate_limit)
        self._server: Any = None
        self.port = port

    async def start(self) -> None:
        """Listen.

        Raises:
            OutputError: the port is in use.
        """
        limits = self._service.settings
        options = [
            ("grpc.max_receive_message_length", limits.max_body_bytes + ROOM_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            ("grpc.max_metadata_size", 16 * 1024),
        ]
        self._server = grpc.aio.server(
            options=options, maximum_concurrent_rpcs=2 * limits.max_queue
        )
        health = health_handlers((SERVICE,), lambda: self._service.ready)
        self._server.add_generic_rpc_handlers((self._handlers(), health))
        host = f"[{limits.host}]" if ":" in limits.host else limits.host
        try:
            self.port = self._add_port(f"{host}:{self.port}")
        except RuntimeError as error:
            raise OutputError(
                f"{host}:{self.port} cannot be listened on; choose another --grpc-port"
            ) from error
        await self._server.start()
        log.info("gRPC%s on %s:%d", " with TLS" if limits.tls_cert else "", host, self.port)

    def _add_port(self, address: str) -> int:
        cert, key = self._service.settings.tls_cert, self._service.settings.tls_key
        if cert is None or key is None:
            return int(self._server.add_insecure_port(address))
        pair = (key.read_bytes(), cert.read_bytes())
        return int(self._server.add_secure_port(address, grpc.ssl_server_credentials([pair])))

    async def stop(self, grace_s: float) -> None:
        """End; calls at work have that time."""
        if self._server is not None:
            await self._server.stop(grace_s)

    # ---- the calls

    def _handlers(self) -> Any:
        calls: dict[str, Call] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "RepositoryIndex": self._index,
            "ModelInfer": self._infer,
        }
        handlers = {name: self._unary(name, call) for name, call in calls.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=message_class("ModelInferRequest").FromString,
            response_serializer=message_class("ModelStreamInferResponse").SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, name: str, call: Call) -> Any:
        request = "ModelInferRequest" if name == "ModelInfer" else f"{name}Request"
        response = "ModelInferResponse" if name == "ModelInfer" else f"{name}Response"

        async def handle(message: Message, context: Any) -> Message:
            started = time.perf_counter()
            status = 200
            try:
                client = self._admit(name, context)
                return await call(message, client)
            except RtmposeError as error:
                fault = fault_of(error)
                status = fault.status
                await context.abort(CODES.get(status, grpc.StatusCode.INTERNAL), str(fault))
            except Exception:
                # What nobody thought of: told to the log, not to the client.
                status = 503
                log.exception("an error in %s", name)
                await context.abort(grpc.StatusCode.INTERNAL, BROKEN)
            finally:
                seconds = time.perf_counter() - started
                self._service.metrics.request("GRPC", name, status, seconds)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=message_class(request).FromString,
            response_serializer=message_class(response).SerializeToString,
        )

    def _admit(self, name: str, context: Any) -> str:
        """Whose call it is; refuses who may not come in."""
        client = _client_of(context)
        if name in OPEN_CALLS:
            return client
        wait_s = self._rate.take(client)
        if wait_s > 0:
            raise ServiceError(429, "too_fast", "too many requests a second", wait_s)
        metadata = dict(context.invocation_metadata() or ())
        scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        if not token_is_right(given, self._service.settings):
            raise ServiceError(401, "no_token", "a token is needed: authorization: Bearer TOKEN")
        return client

    async def _live(self, _: Message, client: str) -> Message:
        return message_class("ServerLiveResponse")(live=True)

    async def _ready(self, _: Message, client: str) -> Message:
        return message_class("ServerReadyResponse")(ready=self._service.ready)

    async def _model_ready(self, message: Message, client: str) -> Message:
        self._model.check(message.name, message.version)
        return message_class("ModelReadyResponse")(ready=self._service.ready)

    async def _server_metadata(self, _: Message, client: str) -> Message:
        return message_class("ServerMetadataResponse")(**self._model.server())

    async def _model_metadata(self, message: Message, client: str) -> Message:
        self._model.check(message.name, message.version)
        return message_class("ModelMetadataResponse")(**self._model.metadata())

    async def _model_config(self, message: Message, client: str) -> Message:
        self._model.check(message.name, message.version)
        return message_class("ModelConfigResponse")(config=self._model.configuration())

    async def _index(self, _: Message, client: str) -> Message:
        return message_class("RepositoryIndexResponse")(models=self._model.repository())

    async def _infer(self, message: Message, client: str) -> Message:
        self._model.check(message.model_name, message.model_version)
        request = await self._service.in_thread(read_infer, message)
        outputs = await self._model.infer(request, client)
        return infer_response(self._model.name, VERSION, request.id, outputs)

    async def _stream(self, messages: AsyncIterator[Message], context: Any) -> Any:
        """One answer for each request, in their order; errors are answers too."""
        response = message_class("ModelStreamInferResponse")
        async for message in messages:
            try:
                client = self._admit("ModelStreamInfer", context)
                yield response(infer_response=await self._infer(message, client))
            except RtmposeError as error:
                yield response(
                    error_message=str(error),
                    infer_response=message_class("ModelInferResponse")(id=message.id),
                )


def _client_of(context: Any) -> str:
    """The address of a client, as over HTTP: ``ipv4:127.0.0.1:50000`` without kind and port."""
    return client_address(unquote(str(context.peer()).partition(":")[2]))
