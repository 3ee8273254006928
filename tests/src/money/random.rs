//! Seeded schedules (to come).
