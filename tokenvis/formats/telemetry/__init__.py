"""Telemetry: what tracing libraries and the servers behind them export."""
