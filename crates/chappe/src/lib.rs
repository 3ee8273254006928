//! Chappe: the messaging runtime of a game-server cluster, and its command.
