#!/usr/bin/env python3
"""A grpcio client that asks for one withdraw request after the other:  caller.py HOST:PORT

It prints, as JSON, a line when the first was answered, and one when a call fails, with its code and how many
were answered before; then it ends.
What a server never took up, grpcio sends once more by itself, as gRPC wants it.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

with grpc.insecure_channel(sys.argv[1]) as channel:
    database = ProtoReflectionDescriptorDatabase(channel)
    service = descriptor_pool.DescriptorPool(database).FindServiceByName("withdraw.v1.WithdrawService")
    method = service.methods_by_name["CreateWithdraw"]
    request_type = message_factory.GetMessageClass(method.input_type)
    create = channel.unary_unary(
        "/withdraw.v1.WithdrawService/CreateWithdraw",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    made = 0
    while True:
        try:
            create(request_type(max_amount="10"), timeout=30)
            made += 1
            if made == 1:
                print(json.dumps({"made": made}), flush=True)
        except grpc.RpcError as error:
            print(json.dumps({"made": made, "code": error.code().name, "message": error.details()}))
            break
