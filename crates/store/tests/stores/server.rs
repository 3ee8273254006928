//! A PostgreSQL server of our own: unprivileged, on a Unix socket in a temporary directory, stopped at the end.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    dir: tempfile::TempDir,
    bin: PathBuf,
    child: Option<Child>,
    /// Where it listens beside its socket, and with which certificate.
    settings: Vec<String>,
    port: u16,
}

impl Server {
    /// Starts one. `None`, and a line that says so, where PostgreSQL cannot be had; a failure where
    /// `CHAPPE_REQUIRE_POSTGRES=1`.
    pub(crate) fn start() -> Option<Server> {
        let Some(bin) = programs() else {
            let required = std::env::var("CHAPPE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "PostgreSQL is not installed: scripts/ensure-deb.sh postgresql");
            eprintln!("SKIPPED: PostgreSQL is not installed, its store was not tested");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("chappe-pg-").tempdir_in("/tmp").unwrap();
        if Uid::effective().is_root() {
            assert!(Command::new("chown").arg(user()).arg(dir.path()).status().unwrap().success());
        }
        let data = dir.path().join("data");
        let made = unprivileged(&bin.join("initdb"))
            .args(["--auth=trust", "--username=chappe", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Server { dir, bin, child: None, settings: Vec::new(), port: 5432 };
        server.run();
        Some(server)
    }

    pub(crate) fn run(&mut self) {
        // What a killed one left behind.
        drop(std::fs::remove_file(self.dir.path().join("data/postmaster.pid")));
        let child = unprivileged(&self.bin.join("postgres"))
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .arg("-k")
            .arg(self.dir.path())
            .arg("-p")
            .arg(self.port.to_string())
            .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "logging_collector=off"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let patience = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            assert!(Instant::now() < patience, "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has it listen on a port of 127.0.0.1 too, which is returned.
    pub(crate) fn listen(&mut self) -> u16 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        self.settings.push("listen_addresses=127.0.0.1".to_owned());
        self.port = port;
        self.stop(Signal::SIGINT);
        self.run();
        port
    }

    /// Has it take TLS, with that certificate and that authority for those of clients. The user `guarded` must show one.
    pub(crate) fn encrypt(&mut self, certificate: &str, key: &str, authority: &str) {
        let data = self.dir.path().join("data");
        let rules =
            "local all all trust\nhostssl all guarded 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 trust\n";
        let files =
            [("tls.pem", certificate), ("tls.key", key), ("tls.ca", authority), ("pg_hba.conf", rules)];
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            if Uid::effective().is_root() {
                assert!(Command::new("chown").arg(user()).arg(&path).status().unwrap().success());
            }
        }
        let settings = ["ssl=on", "ssl_cert_file=tls.pem", "ssl_key_file=tls.key", "ssl_ca_file=tls.ca"];
        let is_first = !self.settings.iter().any(|setting| setting == "ssl=on");
        if is_first {
            self.settings.extend(settings.map(str::to_owned));
            execute(&self.url("public"), "CREATE ROLE guarded SUPERUSER LOGIN");
        }
        self.stop(Signal::SIGINT);
        self.run();
    }

    pub(crate) fn execute(&self, sql: &str) {
        execute(&self.url("public"), sql);
    }

    fn answers(&self) -> bool {
        let told = Command::new(self.bin.join("pg_isready"))
            .arg("-h")
            .arg(self.dir.path())
            .arg("-p")
            .arg(self.port.to_string())
            .output()
            .unwrap();
        told.status.success()
    }

    /// Kills it and all of its processes at once, as a crash would.
    pub(crate) fn crash(&mut self) {
        self.stop(Signal::SIGQUIT);
    }

    fn stop(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
            drop(child.wait());
        }
    }

    /// A place of its own: a schema, which is made sooner than a database.
    pub(crate) fn place(&self, name: &str) -> String {
        execute(&self.url("public"), &format!("CREATE SCHEMA {name}"));
        self.url(name)
    }

    /// Where its socket stands.
    #[allow(dead_code, reason = "the tests of the command ask for it")]
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn url(&self, schema: &str) -> String {
        let dir = self.dir.path().display();
        let port = self.port;
        format!("host={dir} port={port} user=chappe dbname=postgres options='-c search_path={schema}'")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Signal::SIGINT);
    }
}

pub(crate) fn execute(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let driven = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        driven.await.unwrap().unwrap();
    });
}

/// A session of the test's own.
pub(crate) struct Transaction {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Transaction {
    pub(crate) fn begin(url: &str) -> Transaction {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        let mut begun = Transaction { runtime, client };
        begun.run("BEGIN");
        begun
    }

    pub(crate) fn run(&mut self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap();
    }

    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.runtime.block_on(self.client.query_one(sql, &[])).unwrap().get(0)
    }
}

/// Where Debian, or the PATH, has the server's programs.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    places.sort();
    places.reverse();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let user = user();
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).args(["--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command
}

fn user() -> &'static str {
    let there = nix::unistd::User::from_name("postgres").is_ok_and(|user| user.is_some());
    if there { "postgres" } else { "nobody" }
}
