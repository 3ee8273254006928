//! The periods and bounds of operations between players: the key `notifications`.

use std::time::Duration;

use crate::field::Field;
use crate::limits::{count, seconds};
use crate::report::Report;

/// The `notifications` object. All have a default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notifications {
    /// After which a validated notification that nobody has acted on fails (`deadline_seconds`, default 30 s).
    pub deadline: Duration,
    /// How many notifications may lie behind one, sent by handlers of notifications (`depth`, default 32).
    pub depth: u32,
    /// After which pushes that no response took along go by themselves (`push_seconds`, default 3 s).
    pub push: Duration,
    /// After which what waits for the next request to the master goes by itself (`cache_seconds`, default 1 s).
    pub cache: Duration,
    /// How long a handler may run; then it has failed (`handler_seconds`, default 10 s).
    pub handler: Duration,
    /// How long the record of a player who is elsewhere or offline is kept on a server after its last use
    /// (`keep_seconds`, default 5 s).
    pub keep: Duration,
}

impl Default for Notifications {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Notifications {
            deadline: secs(30),
            depth: 32,
            push: secs(3),
            cache: secs(1),
            handler: secs(10),
            keep: secs(5),
        }
    }
}

/// A chain that is longer is a circle.
const DEEPEST: i64 = 1000;

impl Notifications {
    const KEYS: [&str; 6] =
        ["deadline_seconds", "depth", "push_seconds", "cache_seconds", "handler_seconds", "keep_seconds"];

    /// Reads the object; what is not given, or is wrong, has its default.
    pub(crate) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Notifications {
        let default = Notifications::default();
        let Some(fields) = field.object(report) else { return default };
        fields.unknown(&Notifications::KEYS, report);
        Notifications {
            // Less, and it passes before the notification can have reached anyone.
            deadline: seconds(&fields, "deadline_seconds", 0.1, default.deadline, report),
            depth: count(&fields, "depth", 1..=DEEPEST, default.depth, report),
            push: seconds(&fields, "push_seconds", 0.0, default.push, report),
            cache: seconds(&fields, "cache_seconds", 0.0, default.cache, report),
            handler: seconds(&fields, "handler_seconds", 0.1, default.handler, report),
            keep: seconds(&fields, "keep_seconds", 0.1, default.keep, report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{errors, read};

    #[test]
    fn a_number_that_makes_no_sense_is_not_taken() {
        insta::assert_snapshot!(errors(r#"{"master": {"serverid": 1}, "notifications": {
  "deadline_seconds": 0, "depth": 0, "push_seconds": -1, "cache_seconds": "1", "handler_seconds": 90000, "keep_seconds": []
}}"#), @r#"
        deploy.json:2:23: notifications.deadline_seconds: 0 is out of range: must be from 0.1 to 86400
        deploy.json:2:35: notifications.depth: 0 is out of range: must be from 1 to 1000
        deploy.json:2:54: notifications.push_seconds: -1 is out of range: must be from 0 to 86400
        deploy.json:2:75: notifications.cache_seconds: must be a number, found the string "1"
        deploy.json:2:99: notifications.handler_seconds: 90000 is out of range: must be from 0.1 to 86400
        deploy.json:2:122: notifications.keep_seconds: must be a number, found a list
        "#);
        assert!(errors(r#"{"master": {"serverid": 1}, "notifications": 5}"#).contains("must be an object"));
    }

    #[test]
    fn a_number_of_the_file_is_not_lost() {
        let (deploy, warnings) = read(
            r#"{"master": {"serverid": 1}, "notifications": {"deadline_seconds": 2.5, "depth": 3, "push_seconds": 0}}"#,
        );
        let wanted = Notifications {
            deadline: Duration::from_millis(2500),
            depth: 3,
            push: Duration::ZERO,
            ..Notifications::default()
        };
        assert_eq!((deploy.notifications, warnings), (wanted, Vec::new()));
    }
}
