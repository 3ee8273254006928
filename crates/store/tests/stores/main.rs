//! One suite against every store: memory, SQLite in a directory of its own, PostgreSQL from Debian's packages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod alike;
mod half_open;
mod place;
mod postgres;
mod rows;
mod server;
mod tls;

use place::Place;

/// A row is a function of a fresh place. For memory and SQLite each row is a test; PostgreSQL's server is started once,
/// so its rows are one test that names each.
macro_rules! suite {
    ($($row:ident)*) => {
        mod memory {
            $(#[test] fn $row() { super::rows::$row(&super::Place::memory()); })*
        }
        mod sqlite {
            $(#[test] fn $row() { super::rows::$row(&super::Place::sqlite()); })*
        }
        const ROWS: &[(&str, fn(&Place))] = &[$((stringify!($row), rows::$row)),*];
    };
}

suite! {
    a_stale_owner_is_refused_and_its_neighbours_are_not
    two_servers_never_own_one_record
    a_commit_handed_in_twice_is_done_once
    a_commit_that_was_given_up_never_comes
    a_run_that_read_what_never_came_to_be_is_refused
    a_refused_commit_leaves_no_trace
    a_deadline_never_beats_an_act
    nothing_acts_after_a_deadline
    a_notification_never_ends_twice
    a_handler_that_was_given_an_outcome_that_never_was_is_refused
    unsettled_notifications_are_there_after_a_restart
    notifications_are_never_out_of_order
    what_is_sent_and_settled_in_one_flush_is_not_there
    a_request_that_is_sent_again_gets_the_same_answer
    pushes_wait_in_order_and_within_their_bound
    dead_letters_are_listed_retried_and_dropped
    history_is_kept_within_its_bound
    the_owner_of_a_deleted_record_does_not_own_the_next_one
    old_commits_and_answers_are_pruned_and_young_ones_are_not
    what_is_over_a_limit_is_refused
    another_clusters_store_is_refused
    a_store_is_taken_over_only_from_the_owner_that_was_named
    a_newer_schema_is_refused_and_not_touched
    a_second_master_is_refused
    a_corrupt_record_is_never_served
    a_corrupt_notification_is_never_served
    every_uid_can_be_kept
    a_schema_of_before_is_brought_up_to_date
    only_one_of_two_masters_leads
    a_leader_that_was_replaced_commits_nothing
    a_lease_that_has_run_out_and_nobody_took_goes_on
    a_lease_that_was_given_back_is_taken_at_once
    a_master_that_does_not_lead_does_no_work
}
