//! Measurements, in short: that they come to an end, and lose nothing.

use crate::support::chappe;
use serde_json::Value;
use std::process::Command;

#[test]
fn players_over_tls_are_measured_as_those_in_clear() {
    if Command::new("openssl").arg("version").output().is_err() {
        return;
    }
    for tls in [&["--tls"][..], &[]] {
        let mut command = chappe();
        command.args(["bench", "client", "--in-flight", "4", "--seconds", "0.3", "--json"]).args(tls);
        let done = command.output().expect("it runs");
        assert!(done.status.success(), "{tls:?}: {}", String::from_utf8_lossy(&done.stderr));
        let figure: Value = serde_json::from_slice(&done.stdout).expect("a figure");
        assert!(figure["per_second"].as_f64().is_some_and(|each| each > 0.0), "{tls:?}: {figure}");
        assert_eq!(figure["lost"], 0, "{tls:?}");
    }
}
