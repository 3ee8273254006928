//! Every sabotage is caught.
