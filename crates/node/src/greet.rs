//! Handshakes over a connection: carries what `chappe_wire::greet` says from one side to the other.

use chappe_link::{Buffer, Conn};
use chappe_wire::WireError;
use chappe_wire::greet::{Answer, Dial, DialStep};
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Refusal, Version};
use chappe_wire::secret::{Nonce, Secrets};
use std::future::poll_fn;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

/// How long the other side may take for its part of a handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// One of the two sides does not want the other.
    #[error("{0}")]
    Refused(Refusal),
    /// The other side sends what is no greeting.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The connection's end.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side is silent.
    #[error("no greeting came in time")]
    Timeout,
}

/// The dialling side of the handshake on `conn`: says `hello`, proves one of `secrets` and has the other side prove it.
/// What comes behind the last greeting stays in `buffer`.
///
/// # Errors
/// [`GreetError`]; the other side has 5 s.
pub async fn dial_greeting(
    conn: &dyn Conn,
    buffer: &mut Buffer,
    hello: Hello,
    secrets: &Secrets,
) -> Result<Hello, GreetError> {
    let none = Secrets::default();
    let secrets = if conn.is_within_process() { &none } else { secrets };
    let exchange = async {
        let mut dial = Dial::new(hello, secrets, nonce(secrets)?);
        write_all(conn, dial.opening()).await?;
        loop {
            let heard = Heard::read(conn, buffer).await?;
            match dial.take(heard.greeting, &heard.bytes).map_err(GreetError::Refused)? {
                DialStep::Say(bytes) => write_all(conn, &bytes).await?,
                DialStep::Done(theirs, _) => return Ok(theirs),
            }
        }
    };
    timeout(HANDSHAKE, exchange).await.unwrap_or(Err(GreetError::Timeout))
}

/// What a hello is answered with once it is known that its sender may come in.
pub(crate) enum Admission {
    /// A hello: nothing was to be proved, though there is a secret if this is set.
    Stranger(bool),
    /// These bytes, a welcome.
    Known(Vec<u8>),
}

/// The answering side's part between the hello that was `heard` and the last greeting: has the other side prove one of
/// `secrets`. `mine` is the own hello.
///
/// # Errors
/// [`GreetError`]; the other side has 5 s.
pub(crate) async fn ask_for_proof(
    conn: &dyn Conn,
    buffer: &mut Buffer,
    (hello, bytes): (&Hello, &[u8]),
    mine: Hello,
    secrets: &Secrets,
) -> Result<Admission, GreetError> {
    if conn.is_within_process() {
        return Ok(Admission::Stranger(false));
    }
    let answer = Answer::to(hello, bytes, mine, secrets, nonce(secrets)?).map_err(GreetError::Refused)?;
    let Some(answer) = answer else { return Ok(Admission::Stranger(!secrets.is_none())) };
    let exchange = async {
        write_all(conn, answer.challenge()).await?;
        let heard = Heard::read(conn, buffer).await?;
        answer.take(heard.greeting).map(Admission::Known).map_err(GreetError::Refused)
    };
    timeout(HANDSHAKE, exchange).await.unwrap_or(Err(GreetError::Timeout))
}

/// A greeting that came, as it came.
pub(crate) struct Heard {
    pub(crate) greeting: Greeting,
    pub(crate) version: Version,
    pub(crate) bytes: Vec<u8>,
}

impl Heard {
    /// Reads a greeting; what came behind it stays in `buffer`.
    pub(crate) async fn read(conn: &dyn Conn, buffer: &mut Buffer) -> Result<Heard, GreetError> {
        loop {
            match Greeting::decode(buffer.filled(), PROTOCOL)? {
                Some((greeting, version, used)) => {
                    let bytes = buffer.filled()[..used].to_vec();
                    buffer.consume(used);
                    return Ok(Heard { greeting, version, bytes });
                }
                None => {
                    if poll_fn(|cx| conn.poll_read(cx, buffer)).await? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                }
            }
        }
    }
}

pub(crate) async fn write_all(conn: &dyn Conn, bytes: &[u8]) -> io::Result<()> {
    let mut buffer = Buffer::default();
    buffer.tail(bytes.len()).extend_from_slice(bytes);
    loop {
        conn.try_write(&mut buffer)?;
        if buffer.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| conn.poll_writable(cx)).await?;
    }
}

/// Drawn from the system, and only where there is something to prove: a cluster on virtual time draws nothing.
fn nonce(secrets: &Secrets) -> io::Result<Nonce> {
    let mut bytes = [0; 32];
    if !secrets.is_none() {
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    }
    Ok(Nonce(bytes))
}
