"""Floor 3: protobuf and HTTP to values and back. The only floor that knows gRPC; it does not know `store`."""
