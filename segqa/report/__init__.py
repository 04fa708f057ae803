"""Reports of stored runs: review page, terminal output, tables, charts, and exports (JSON, Markdown, OpenMetrics)."""
