//! The steps of a handshake, each side's: who says what next, given what the other has said. No I/O and no randomness: the
//! caller carries the bytes, and draws the nonces.
//!
//! ```text
//! dialling side                       answering side
//! hello, with a nonce            ->
//!                                <-   challenge: its hello, with a nonce of its own
//! prove: one for each secret     ->
//!                                <-   welcome: by the secret that both know           (or refuse, at any step)
//! ```
//!
//! A proof is made over the two first greetings as they went over the wire: versions, cluster, ids, roles, incarnations and
//! nonces. Where neither side has a secret, the answer to a hello is a hello.

use crate::hello::{Auth, Greeting, Hello, PROTOCOL, Refusal, Version};
use crate::secret::{Nonce, Proof, Secrets};
use crate::{NodeId, Reason};

/// What to do about a secret that is missing or another one.
const REMEDY: &str = "every node and tool of a cluster needs the same one \
                      (CHAPPE_SECRET_FILE, or `secret_file` in deploy.json)";

/// The dialling side of one handshake.
#[derive(Debug)]
pub struct Dial<'s> {
    secrets: &'s Secrets,
    opening: Vec<u8>,
    /// What both have said, once the other side has asked for a proof.
    transcript: Option<(Vec<u8>, Hello)>,
}

/// What the dialling side does next.
#[derive(Debug, PartialEq, Eq)]
pub enum DialStep {
    /// It says this, and waits for the next greeting.
    Say(Vec<u8>),
    /// The connection stands: with whom, and whether they have proved that they know the secret.
    Done(Hello, bool),
}

impl<'s> Dial<'s> {
    /// A handshake that `hello` opens; `nonce` is drawn for it alone.
    pub fn new(hello: Hello, secrets: &'s Secrets, nonce: Nonce) -> Dial<'s> {
        let opening = Greeting::Hello(with_auth(hello, secrets, nonce)).encode(PROTOCOL);
        Dial { secrets, opening, transcript: None }
    }

    /// What is said first.
    pub fn opening(&self) -> &[u8] {
        &self.opening
    }

    /// Takes the other side's next greeting, which came as `bytes`.
    ///
    /// # Errors
    /// The other side's refusal, or this one's: the other has no secret or another one, or says what is not its turn.
    pub fn take(&mut self, greeting: Greeting, bytes: &[u8]) -> Result<DialStep, Refusal> {
        match (greeting, self.transcript.take()) {
            (Greeting::Refuse(refusal), _) => Err(refusal),
            (Greeting::Hello(hello), None) if self.secrets.admits_strangers() => {
                Ok(DialStep::Done(hello, false))
            }
            (Greeting::Hello(hello), None) => Err(wrong_secret(format!(
                "node {} does not show that it knows the cluster's secret",
                hello.node
            ))),
            (Greeting::Challenge(hello), None) if !self.secrets.is_none() => {
                let transcript = [&self.opening, bytes].concat();
                let proofs = Greeting::Prove(self.secrets.prove(&transcript));
                self.transcript = Some((transcript, hello));
                Ok(DialStep::Say(proofs.encode(PROTOCOL)))
            }
            (Greeting::Welcome(proof), Some((transcript, hello))) => {
                if self.secrets.is_answered(&transcript, &proof) {
                    return Ok(DialStep::Done(hello, true));
                }
                Err(wrong_secret(format!("node {} does not know this cluster's secret", hello.node)))
            }
            _ => Err(out_of_turn()),
        }
    }
}

/// The answering side of one handshake, waiting for the proof that it has asked for.
#[derive(Debug)]
pub struct Answer<'s> {
    secrets: &'s Secrets,
    challenge: Vec<u8>,
    transcript: Vec<u8>,
    from: NodeId,
}

impl<'s> Answer<'s> {
    /// What a hello that came as `bytes` is answered with: `None` lets it in without a proof. `mine` is the own hello,
    /// `nonce` drawn for this handshake alone.
    ///
    /// # Errors
    /// One of the two has a secret and the other has none.
    pub fn to(
        hello: &Hello,
        bytes: &[u8],
        mine: Hello,
        secrets: &'s Secrets,
        nonce: Nonce,
    ) -> Result<Option<Answer<'s>>, Refusal> {
        match hello.auth {
            Some(auth) if secrets.is_none() && !auth.optional => {
                let text =
                    format!("node {} has a cluster secret, and node {} has none", hello.node, mine.node);
                Err(wrong_secret(text))
            }
            None if !secrets.admits_strangers() => {
                let text =
                    format!("node {} shows no cluster secret, and node {} wants one", hello.node, mine.node);
                Err(wrong_secret(text))
            }
            Some(_) if !secrets.is_none() => {
                let challenge = Greeting::Challenge(with_auth(mine, secrets, nonce)).encode(PROTOCOL);
                let transcript = [bytes, &challenge].concat();
                Ok(Some(Answer { secrets, challenge, transcript, from: hello.node }))
            }
            _ => Ok(None),
        }
    }

    /// What is said first.
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Takes the dialling side's proofs; what to say to it, now that it is known.
    ///
    /// # Errors
    /// It does not know the secret, or says something else.
    pub fn take(self, greeting: Greeting) -> Result<Vec<u8>, Refusal> {
        let proofs: Vec<Proof> = match greeting {
            Greeting::Prove(proofs) => proofs,
            Greeting::Refuse(refusal) => return Err(refusal),
            _ => return Err(out_of_turn()),
        };
        match self.secrets.answer(&self.transcript, &proofs) {
            Some(proof) => Ok(Greeting::Welcome(proof).encode(PROTOCOL)),
            None => Err(wrong_secret(format!("node {} does not know this cluster's secret", self.from))),
        }
    }
}

impl Refusal {
    /// The same for a peer of that version, which cannot read reasons that came later.
    #[must_use]
    pub fn for_version(mut self, theirs: Version) -> Refusal {
        if theirs.minor == 0 && self.reason == Reason::WrongSecret {
            self.reason = Reason::Refused;
        }
        self
    }
}

fn with_auth(mut hello: Hello, secrets: &Secrets, nonce: Nonce) -> Hello {
    hello.auth = (!secrets.is_none()).then(|| Auth { nonce, optional: secrets.admits_strangers() });
    hello
}

fn wrong_secret(what: String) -> Refusal {
    Refusal { reason: Reason::WrongSecret, message: format!("{what}: {REMEDY}") }
}

fn out_of_turn() -> Refusal {
    let message = "a greeting came that is not its sender's turn to say".to_owned();
    Refusal { reason: Reason::ProtocolError, message }
}

#[cfg(test)]
mod tests;
