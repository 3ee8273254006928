//! How bytes get from one node to another: memory and local links behind one trait.
