//! A request to the master of a running cluster, from outside: what `chappe call` and its like are made of.
//!
//! A tool is a peer of the role `tool`: it says hello, asks, waits for the one answer, and goes. It listens to
//! nobody and is no member of the cluster.

use crate::exit::CommandError;
use crate::{links, secrets};
use chappe_deploy::Deploy;
use chappe_link::local::LocalLink;
use chappe_link::nats::NatsLink;
use chappe_link::{Buffer, Conn, Link};
use chappe_node::{Config, GreetError, control, dial_greeting};
use chappe_wire::frame::{read_frame, write_frame};
use chappe_wire::hello::{Hello, Purpose, Refusal};
use chappe_wire::secret::Secrets;
use chappe_wire::{Body, Envelope, Meta, NodeId, Reason, Role, Row, WireError, value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::{Future, poll_fn};
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long the master may take to say hello.
const HELLO: Duration = Duration::from_secs(3);
/// How much longer than the request's own time-out the master's answer is waited for.
const GRACE: Duration = Duration::from_secs(2);
/// The largest answer that is read, in bytes: a page of players, or the reports of many nodes.
const LARGEST: usize = 256 << 20;
/// Ids of tools are below this, out of every node's way.
const TOOL_IDS: i64 = -(1 << 48);

/// Why a request of a tool brought no answer.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error("{}", unreached(.0))]
    Io(#[from] io::Error),
    #[error("its master is silent; it may be frozen")]
    Timeout,
    #[error("its master turned this away: {0}")]
    Refused(Refusal),
    #[error("its master sends what is no message: {0}")]
    Wire(#[from] WireError),
    /// There was an answer, and it says no.
    #[error("{0}: {1}")]
    Outcome(Reason, String),
}

impl From<GreetError> for ToolError {
    fn from(error: GreetError) -> ToolError {
        match error {
            GreetError::Refused(refusal) => ToolError::Refused(refusal),
            GreetError::Wire(error) => ToolError::Wire(error),
            GreetError::Io(error) => ToolError::Io(error),
            GreetError::Timeout => ToolError::Timeout,
        }
    }
}

/// Asks the master of the running cluster one thing: `method` of its own module, within `within`.
///
/// # Errors
/// [`CommandError::Unreachable`] when there is no such master, [`CommandError::Outcome`] with the reason of the
/// answer.
pub(crate) fn ask<T: Serialize, R: DeserializeOwned>(
    deploy: &Deploy,
    method: &str,
    args: &T,
    within: Duration,
) -> Result<R, CommandError> {
    ask_of(deploy, (control::MASTER, method), args, within)
}

/// As [`ask`], for a module of the master and its method.
pub(crate) fn ask_of<T: Serialize, R: DeserializeOwned>(
    deploy: &Deploy,
    target: (&str, &str),
    args: &T,
    within: Duration,
) -> Result<R, CommandError> {
    let bad_data = |error: value::ValueError| CommandError::Outcome {
        reason: Reason::BadData,
        message: error.to_string(),
    };
    let args = value::encode(args).map_err(bad_data)?;
    let (size, limit) = (args.len(), deploy.limits.message_bytes);
    if size > limit {
        let message = format!("the data takes {size} bytes; the limit is {limit} (`limits.message_bytes`)");
        return Err(CommandError::Outcome { reason: Reason::TooLarge, message });
    }
    let secrets = secrets::of_cluster(deploy)?;
    let answer = block_on(async {
        let mut connection = Connection::open(deploy, &secrets).await?;
        connection.request(target, &args, within).await
    })?;
    let unreachable = |why: String| CommandError::Unreachable {
        cluster: deploy.cluster.clone(),
        why,
        file: deploy.file.clone(),
    };
    match answer {
        Ok(data) => value::decode(&data).map_err(bad_data),
        Err(ToolError::Outcome(reason, message)) => Err(CommandError::Outcome { reason, message }),
        Err(ToolError::Refused(Refusal { reason: reason @ Reason::WrongSecret, message })) => {
            Err(CommandError::Outcome { reason, message })
        }
        Err(error) => Err(unreachable(error.to_string())),
    }
}

/// As the commands do, for programs of their own: asks the master of the running cluster for `method` of its own
/// module (`chappe_node::control_tool` has the types), and waits at most `within` and a little.
///
/// # Errors
/// Why there is no answer, as a text.
pub fn ask_master<T: Serialize, R: DeserializeOwned>(
    deploy: &Deploy,
    method: &str,
    args: &T,
    within: Duration,
) -> Result<R, String> {
    ask(deploy, method, args, within).map_err(|error| error.to_string())
}

/// Whether a master of this cluster runs on this machine.
pub(crate) fn is_running(deploy: &Deploy) -> bool {
    deploy.masters().any(|master| listens(deploy, master.id))
}

/// Whether a node of that id listens on this machine.
pub(crate) fn listens(deploy: &Deploy, id: i64) -> bool {
    block_on(async { Ok(link(deploy).dial(NodeId(id)).await?) }).is_ok_and(|dialed| dialed.is_ok())
}

/// What a master is at the moment, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It leads, under that term.
    Leads {
        /// 0 where there is no lease.
        term: u64,
    },
    /// The other one leads, or nobody.
    Standby,
    /// It does not answer.
    Absent,
}

/// What each of the masters is.
///
/// # Errors
/// [`CommandError::Io`].
pub(crate) fn masters(deploy: &Deploy) -> Result<Vec<(i64, Standing)>, CommandError> {
    let secrets = secrets::of_cluster(deploy)?;
    let mut masters = Vec::new();
    for id in deploy.masters().map(|master| master.id) {
        let opened = block_on(Connection::open_to(deploy, NodeId(id), &secrets))?;
        masters.push(match opened {
            Ok((_, term)) => (id, Standing::Leads { term }),
            Err(ToolError::Refused(Refusal { reason: Reason::NotLeading, .. })) => (id, Standing::Standby),
            Err(_) => (id, Standing::Absent),
        });
    }
    Ok(masters)
}

fn block_on<T>(
    task: impl Future<Output = Result<T, ToolError>>,
) -> Result<Result<T, ToolError>, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(CommandError::io("cannot start"))?.block_on(task))
}

fn link(deploy: &Deploy) -> LocalLink {
    LocalLink::new(deploy.run_dir())
}

/// A connection to the master: on this machine, else over the engine. With it what keeps the engine's link alive.
async fn dial(deploy: &Deploy, master: NodeId) -> io::Result<(Box<dyn Conn>, Option<NatsLink>)> {
    let near = match link(deploy).dial(master).await {
        Ok(conn) => return Ok((conn, None)),
        Err(error) => error,
    };
    match links::nats(deploy, None).map_err(io::Error::other)? {
        Some(far) => Ok((far.dial(master).await?, Some(far))),
        None => Err(near),
    }
}

fn unreached(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "no master listens".to_owned(),
        io::ErrorKind::UnexpectedEof => "its master closed the connection".to_owned(),
        _ => format!("its master does not answer: {error}"),
    }
}

struct Connection {
    /// Goes before the link that carries it.
    conn: Box<dyn Conn>,
    _far: Option<NatsLink>,
    incoming: Buffer,
}

impl Connection {
    /// To the master that leads, whichever of two it is.
    async fn open(deploy: &Deploy, secrets: &Secrets) -> Result<Connection, ToolError> {
        let mut failed = None;
        for master in deploy.masters() {
            match Connection::open_to(deploy, NodeId(master.id), secrets).await {
                Ok((connection, _)) => return Ok(connection),
                // One that answers says more than one that is not there.
                Err(error @ ToolError::Refused(_)) => failed = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound).into()))
    }

    /// To one master, with the term under which it leads.
    async fn open_to(
        deploy: &Deploy,
        master: NodeId,
        secrets: &Secrets,
    ) -> Result<(Connection, u64), ToolError> {
        let incarnation = Config::new_incarnation();
        let hello = Hello {
            cluster: deploy.cluster.clone(),
            node: tool_id(incarnation),
            role: Role::Tool,
            node_type: Role::Tool.as_str().to_owned(),
            incarnation,
            to: Some(master),
            purpose: Purpose::Messages,
            term: 0,
            auth: None,
            version: chappe_node::VERSION.to_owned(),
        };
        let greeted = async {
            let (conn, far) = dial(deploy, master).await?;
            let mut connection = Connection { conn, _far: far, incoming: Buffer::default() };
            let theirs = dial_greeting(&*connection.conn, &mut connection.incoming, hello, secrets).await?;
            Ok((connection, theirs.term))
        };
        timeout(HELLO, greeted).await.unwrap_or(Err(ToolError::Timeout))
    }

    async fn request(
        &mut self,
        (module, method): (&str, &str),
        args: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, ToolError> {
        let target = format!("{module}\0{method}");
        let timeout_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let body = Body::Request { id: 1, timeout_ms, one_way: false, target: target.as_bytes() };
        let envelope = Envelope { meta: Meta::of(Row::Internal), body, payload: args };
        let mut frame = Vec::new();
        write_frame(&mut frame, 1, 0, |out| envelope.encode_into(out));
        let asked = async {
            self.write(&frame).await?;
            self.answer().await
        };
        timeout(within + GRACE, asked).await.unwrap_or(Err(ToolError::Timeout))
    }

    /// Reads on until the answer; what else a master tells its peers is not for a tool.
    async fn answer(&mut self) -> Result<Vec<u8>, ToolError> {
        loop {
            while let Some((frame, used)) = read_frame(self.incoming.filled(), LARGEST)? {
                let Envelope { body, payload, .. } = Envelope::decode(frame.body)?;
                let text = || String::from_utf8_lossy(payload).into_owned();
                match body {
                    Body::Response { status: Ok(()), .. } => return Ok(payload.to_vec()),
                    Body::Response { status: Err(reason), .. } | Body::Nack { reason, .. } => {
                        return Err(ToolError::Outcome(reason, text()));
                    }
                    Body::Close { reason } => {
                        return Err(ToolError::Refused(Refusal { reason, message: text() }));
                    }
                    _ => self.incoming.consume(used),
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match poll_fn(|cx| self.conn.poll_read(cx, &mut self.incoming)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut outgoing = Buffer::default();
        outgoing.tail(bytes.len()).extend_from_slice(bytes);
        loop {
            self.conn.try_write(&mut outgoing)?;
            if outgoing.is_empty() {
                return Ok(());
            }
            poll_fn(|cx| self.conn.poll_writable(cx)).await?;
        }
    }
}

/// An id that no other tool has at the same time: two processes have two numbers, one process two times.
fn tool_id(now: u64) -> NodeId {
    let process = i64::from(std::process::id());
    let moment = i64::try_from(now % (1 << 40)).unwrap_or_default();
    NodeId(TOOL_IDS.saturating_sub((process << 40).saturating_add(moment)))
}
