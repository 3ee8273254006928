//! What a proxy and a player's game say to each other.
