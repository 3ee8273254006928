//! One node: its loop, inbox, systems, handlers, requests and timers, on one thread.
