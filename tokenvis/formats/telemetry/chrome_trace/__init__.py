"""Chrome trace events, which browsers, profilers and ui.perfetto.dev share."""
