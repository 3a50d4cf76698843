"""Reads a page of metrics on standard input as OpenMetrics, with the reader of Prometheus' own client, which is strict; and
says how many families it has. Exits 1 with the reason where it is none."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

try:
    families = list(text_string_to_metric_families(sys.stdin.read()))
except ValueError as error:
    sys.exit(f"this is no OpenMetrics: {error}")
for family in families:
    print(family.name, family.type, len(family.samples))
