#!/usr/bin/env python3
"""A grpcio client that knows the service by reflection (v1alpha) alone:  errors.py HOST:PORT [gzip]

Reads calls from standard input, one JSON object a line: {"method": "GetWithdraw", "request": {…}}.
For each it prints a line: {"ok": response}, or the code and the error details as they decode.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2  # registers the types of error details
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICE = "withdraw.v1.WithdrawService"


def call(channel, service, method, request):
    method = service.methods_by_name[method]
    request_type = message_factory.GetMessageClass(method.input_type)
    stub = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    try:
        answer = stub(json_format.ParseDict(request, request_type()), timeout=30)
        return {"ok": json_format.MessageToDict(answer, preserving_proto_field_name=True)}
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        return {
            "code": error.code().name,
            "message": error.details(),
            "details": [detail(packed) for packed in status.details] if status else [],
            "bytes": status.ByteSize() if status else 0,
        }


def detail(packed):
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
        message = kind()
        if packed.Unpack(message):
            return {kind.__name__: json_format.MessageToDict(message, preserving_proto_field_name=True)}
    raise ValueError(f"an unknown detail: {packed.type_url}")


compression = grpc.Compression.Gzip if "gzip" in sys.argv[2:] else None
with grpc.insecure_channel(sys.argv[1], compression=compression) as channel:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services(), database.get_services()
    service = descriptor_pool.DescriptorPool(database).FindServiceByName(SERVICE)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(call(channel, service, asked["method"], asked["request"])))
