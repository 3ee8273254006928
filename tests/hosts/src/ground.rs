//! What a cluster stands on: hosts, and a NATS and a PostgreSQL that all of them reach.

use crate::kept::Keepers;
use crate::nats::Nats;
use crate::net::{Net, Place};
use crate::postgres::Postgres;
use crate::told;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hosts and the servers between them; all of it ends with this value, and when the program is interrupted.
pub struct Ground {
    net: Net,
    dir: PathBuf,
    pub(crate) keepers: Keepers,
    places: Vec<Place>,
    nats: Mutex<Nats>,
    postgres: Mutex<Postgres>,
}

impl Ground {
    /// Makes so many hosts and starts the servers.
    ///
    /// # Errors
    /// What could not be done.
    pub fn new(net: Net, hosts: usize) -> Result<Ground, String> {
        let keepers = Keepers::default();
        keepers.end_when_interrupted()?;
        let dir = tempfile::Builder::new().prefix("chappe-hosts-").tempdir_in("/tmp");
        let dir = dir.map_err(told("a directory"))?.keep();
        keepers.remove_later(dir.clone());
        net.prepare()?;
        let nats = Nats::start(net.servers(), &keepers, &dir)?;
        let postgres = Postgres::start(net.servers(), &keepers, &dir)?;
        let (servers, log) = ([nats.address, postgres.address], dir.join("net.log"));
        let place = |number| Place::new(net, number, &servers, &keepers, &log);
        let places = (1..=hosts).map(place).collect::<Result<_, _>>()?;
        Ok(Ground { net, dir, keepers, places, nats: Mutex::new(nats), postgres: Mutex::new(postgres) })
    }

    /// How hosts are made.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net
    }

    /// Where all files of the run are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves the files where they are.
    pub fn keep_files(&self) {
        self.keepers.leave(&self.dir);
    }

    /// Cuts a host (from 0) off from NATS and PostgreSQL, or takes that back. Players reach it all the same.
    ///
    /// # Errors
    /// What the system says; no such host.
    pub fn cut(&self, host: usize, is_cut: bool) -> Result<(), String> {
        self.place(host)?.cut(is_cut)
    }

    /// Ends NATS at once.
    pub fn kill_nats(&self) {
        lock(&self.nats).kill();
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_nats(&self) -> Result<(), String> {
        lock(&self.nats).run()
    }

    /// Ends PostgreSQL, in order or by SIGKILL.
    ///
    /// # Errors
    /// When there is none.
    pub fn end_postgres(&self, signal: Signal) -> Result<(), String> {
        lock(&self.postgres).end(signal)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_postgres(&self) -> Result<(), String> {
        lock(&self.postgres).run()
    }

    pub(crate) fn place(&self, host: usize) -> Result<&Place, String> {
        self.places.get(host).ok_or_else(|| format!("there is no host {host}"))
    }

    /// NATS and PostgreSQL, as a host sees them.
    ///
    /// # Errors
    /// No such host.
    pub(crate) fn urls(&self, host: usize) -> Result<(String, String), String> {
        match self.place(host)?.servers.as_slice() {
            [nats, postgres] => {
                Ok((format!("nats://{nats}"), format!("postgres://chappe@{postgres}/postgres")))
            }
            _ => Err(format!("host {host} sees no servers")),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.keepers.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
