//! deploy.json: read leniently, checked wholly, every error with its place.
