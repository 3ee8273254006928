//! The proxy: WebSocket clients on one side, the cluster on the other.
