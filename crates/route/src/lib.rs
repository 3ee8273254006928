//! Who is in the cluster, where a message goes, and what is still under way; no I/O and no clock.
