"""OTLP: the files of OpenTelemetry's own protocol, in JSON, JSON lines and protobuf."""
