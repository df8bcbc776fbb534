"""Rate, errors and duration of every call, under one name for all rooms."""

from prometheus_client import Counter, Gauge, Histogram

_METHOD = ("grpc_service", "grpc_method")

# From a dry list call to a stream that fills a shard of a dataset.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 600)

RPC_STARTED = Counter("teachwhy_rpc_started_total", "Calls that arrived.", _METHOD)
RPC_HANDLED = Counter(
    "teachwhy_rpc_handled_total", "Calls that ended, by status code.", (*_METHOD, "grpc_code")
)
RPC_DURATION = Histogram(
    "teachwhy_rpc_duration_seconds", "Time from arrival to end.", _METHOD, buckets=_BUCKETS
)
RPC_IN_FLIGHT = Gauge("teachwhy_rpc_in_flight", "Calls that arrived and have not ended.", _METHOD)
RPC_READY = Gauge("teachwhy_rpc_ready", "1 while calls are welcome, 0 before and in a drain.")
RPC_MESSAGES_RECEIVED = Counter(
    "teachwhy_rpc_messages_received_total", "Request messages, streamed or not.", _METHOD
)
RPC_MESSAGES_SENT = Counter(
    "teachwhy_rpc_messages_sent_total", "Response messages, streamed or not.", _METHOD
)
