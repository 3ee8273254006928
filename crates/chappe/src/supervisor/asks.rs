//! What `chappe apply` asks of the supervisor of its machine, over a Unix socket: one line of JSON each way.

use super::{Event, Launch, Order, Supervisor};
use crate::exit::CommandError;
use chappe_deploy::{Change, Deploy, NodeEntry};
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// The longest line, in bytes: the ids of all nodes that a file can have.
const LINE: u64 = 1 << 20;
/// How long one question may take, its answer included.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a node that was removed may take to leave.
const LEAVE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// What separates what runs on this machine from the file, which is read anew.
    Plan,
    /// Go by the file from now on: start the nodes that do not run. Those that it no longer has run on.
    Start,
    /// Let one leave, whatever the file says, and do not start it again.
    Leave(i64),
    /// Keep these no longer; only such as the file no longer has on this machine.
    Forget(Vec<i64>),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To [`Ask::Plan`]: of the nodes, those of this machine.
    Plan(Change),
    /// Done; with the nodes that it was done to.
    Done(Vec<i64>),
    /// Why not.
    Refused(String),
}

/// Asks the supervisor of this machine's nodes.
///
/// # Errors
/// [`CommandError::Unreachable`] when none runs, [`CommandError::Usage`] for what it refuses.
pub(crate) fn ask(deploy: &Deploy, host: Option<&str>, ask: &Ask) -> Result<Answer, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CommandError::io("cannot ask"))?;
    let path = deploy.supervisor_socket(host);
    let asked = async {
        let mut stream = UnixStream::connect(path).await?;
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    };
    let asked = runtime.block_on(async { timeout(ANSWER + LEAVE, asked).await });
    let asked: io::Result<Answer> = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match asked {
        Ok(Answer::Refused(why)) => Err(CommandError::Usage(why)),
        Ok(answer) => Ok(answer),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "no `chappe up` keeps its nodes on this machine".to_owned()
                }
                _ => format!("its `chappe up` does not answer: {error}"),
            };
            let (cluster, file) = (deploy.cluster.clone(), deploy.file.clone());
            Err(CommandError::Unreachable { cluster, why, file })
        }
    }
}

/// Where a supervisor is asked; gone with it.
pub(super) struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// # Errors
    /// [`CommandError::Usage`] while another supervisor keeps these nodes.
    pub(super) fn open(deploy: &Deploy, host: Option<&str>) -> Result<Door, CommandError> {
        let path = deploy.supervisor_socket(host);
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            let nodes = host.map_or("its nodes".to_owned(), |host| format!("the nodes of `{host}`"));
            let text =
                format!("the cluster `{}` runs already: another process keeps {nodes}", deploy.cluster);
            return Err(CommandError::Usage(text));
        }
        // One that was killed has left it behind.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(CommandError::io("the supervisor's socket"))?;
        let own = Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, own).map_err(CommandError::io("the supervisor's socket"))?;
        Ok(Door { listener, path })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Supervisor {
    /// Answers one question after the other. Never ends.
    pub(super) async fn serve_asks(self: &Rc<Self>, door: Door) {
        loop {
            match door.listener.accept().await {
                // Who asks and goes away is no concern of the cluster's.
                Ok((stream, _)) => drop(timeout(ANSWER, self.answer_to(stream)).await),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn answer_to(self: &Rc<Self>, mut stream: UnixStream) -> io::Result<()> {
        let mut line = Vec::new();
        let (read, mut write) = stream.split();
        BufReader::new(read).take(LINE).read_until(b'\n', &mut line).await?;
        let answer = match serde_json::from_slice(&line) {
            Ok(asked) => self.answer(asked).await.unwrap_or_else(Answer::Refused),
            Err(error) => Answer::Refused(format!("not a question: {error}")),
        };
        write.write_all(&serde_json::to_vec(&answer)?).await
    }

    async fn answer(self: &Rc<Self>, asked: Ask) -> Result<Answer, String> {
        match asked {
            Ask::Leave(id) => self.let_leave(id).await.map(Answer::Done),
            Ask::Plan => Ok(Answer::Plan(self.change_to(&*self.read_anew()?)?)),
            Ask::Start => self.apply(self.read_anew()?).map(Answer::Done),
            Ask::Forget(ids) => self.forget(&*self.read_anew()?, ids).await.map(Answer::Done),
        }
    }

    fn read_anew(&self) -> Result<Arc<Deploy>, String> {
        if matches!(self.launch, Launch::Threads(_)) {
            return Err("its nodes are threads of one process: end it and start it again".to_owned());
        }
        let read = Deploy::load(&self.deploy.borrow().path);
        read.map(|(deploy, _)| Arc::new(deploy)).map_err(|errors| errors.to_string())
    }

    fn here(&self, deploy: &Deploy) -> Result<Vec<NodeEntry>, String> {
        match (&self.host, deploy.hosts().is_empty()) {
            // Its last node has gone.
            (Some(host), _) if !deploy.hosts().contains(&host.as_str()) => Ok(Vec::new()),
            (None, false) if deploy.hosts().len() == 1 => deploy.on_host(None).map(cloned),
            (host, _) => deploy.on_host(host.as_deref()).map(cloned),
        }
    }

    fn change_to(&self, after: &Deploy) -> Result<Change, String> {
        let (here, kept) = (self.here(after)?, self.kept.borrow());
        let mut change = Change::between(&self.deploy.borrow(), after);
        let is_here = |id: &i64| here.iter().any(|entry| entry.id == *id);
        // Also such as were drained, or given up: the file has them.
        change.added = here.iter().map(|entry| entry.id).filter(|id| !kept.contains(id)).collect();
        change.removed = kept.iter().copied().filter(|id| !is_here(id)).collect();
        change.changed.retain(|id| is_here(id) && kept.contains(id));
        Ok(change)
    }

    fn apply(self: &Rc<Self>, after: Arc<Deploy>) -> Result<Vec<i64>, String> {
        let change = self.change_to(&after)?;
        if !change.fixed.is_empty() {
            return Err(unchangeable(&change));
        }
        after.probe_ports(|node| change.added.contains(&node.id)).map_err(|errors| errors.to_string())?;
        self.output.learn(&after);
        {
            let mut nodes = self.nodes.borrow_mut();
            nodes.retain(|entry| change.removed.contains(&entry.id));
            nodes.extend(self.here(&after)?);
        }
        *self.deploy.borrow_mut() = after;
        self.output.event(&Event::Applied { started: change.added.clone(), removed: change.removed });
        change.added.iter().for_each(|id| self.start(*id));
        Ok(change.added)
    }

    async fn let_leave(&self, id: i64) -> Result<Vec<i64>, String> {
        let kept = self.kept.borrow().contains(&id);
        let Some(entry) = self.entry(id).filter(|_| kept) else {
            return Err(format!("node {id} does not run on this machine"));
        };
        self.end(&[id]).await;
        self.output.event(&Event::left(&entry));
        Ok(vec![id])
    }

    async fn end(&self, ids: &[i64]) {
        self.order(ids, Order::Leave);
        if timeout(LEAVE, self.until_gone(ids)).await.is_err() {
            self.order(ids, Order::Kill);
        }
    }

    async fn forget(&self, after: &Deploy, ids: Vec<i64>) -> Result<Vec<i64>, String> {
        let here = self.here(after)?;
        let is_gone = |id: &i64| here.iter().all(|entry| entry.id != *id);
        let ids: Vec<i64> = ids.into_iter().filter(is_gone).collect();
        self.end(&ids).await;
        self.nodes.borrow_mut().retain(|entry| !ids.contains(&entry.id));
        Ok(ids)
    }
}

/// Why a changed file cannot be applied.
pub(crate) fn unchangeable(change: &Change) -> String {
    let what = change.fixed.join(", ");
    format!("{what} cannot change while the cluster runs: end it, and start it with the new file")
}

fn cloned(nodes: Vec<&NodeEntry>) -> Vec<NodeEntry> {
    nodes.into_iter().cloned().collect()
}
