"""From a time to the place in the order of arrival, without an index on time."""

from datetime import timedelta

SLACK = timedelta(hours=1)
"""By how much the order of arrival may differ from that of the times: clocks are set back, and nodes have their own."""

# By halving, as in the SQLite store, here in one statement: one look-up in the primary key for each step.
_NUMBER_AT = """(
WITH RECURSIVE halves (low, high) AS (
    SELECT 0::bigint, coalesce(max(number), 0) + 1 FROM {table}
    UNION ALL
    SELECT CASE WHEN coalesce(r.late, true) THEN h.low ELSE r.number + 1 END,
           CASE WHEN coalesce(r.late, true) THEN (h.low + h.high) / 2 ELSE h.high END
      FROM halves h LEFT JOIN LATERAL (
        SELECT t.number, t.{column} >= ? AS late FROM {table} t WHERE t.number >= (h.low + h.high) / 2
         ORDER BY t.number LIMIT 1) r ON true
     WHERE h.low < h.high)
SELECT max(low) FROM halves)"""
DELIVERY_AT = _NUMBER_AT.format(table="deliveries", column="received_at")
"""The number of the first delivery received at a time or later; right up to `SLACK`."""
JOB_AT = _NUMBER_AT.format(table="jobs", column="created_at")
"""The number of the first job queued at a time or later; right up to `SLACK`."""
