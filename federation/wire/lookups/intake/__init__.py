"""The intake desk on the wire: values, protobuf, the service and its client."""
