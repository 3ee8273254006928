//! What a broken link or sender would do to frames, on purpose: the suite must catch it.

use chappe_wire::frame::{FRAME_HEADER, read_frame, write_frame};
use chappe_wire::{Body, Envelope};

/// A sabotage of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Two messages of a pair change places, sequence numbers in order: no counter of the runtime's sees it.
    Reorder,
    /// A message is gone and its number is not: an empty frame has it.
    Lose,
    /// A frame is gone with its number.
    Drop,
}

/// Plays a trick now and then on the frames that pass.
pub(super) struct Tamper {
    trick: Option<Trick>,
    seen: u64,
    pub(super) played: u64,
}

impl Tamper {
    pub(super) fn new(trick: Option<Trick>) -> Tamper {
        Tamper { trick, seen: 0, played: 0 }
    }

    /// What arrives of `bytes`, which are a greeting or whole frames.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(trick) = self.trick.filter(|_| !bytes.starts_with(b"CHPE")) else { return bytes.to_vec() };
        let mut frames = split(bytes);
        let events: Vec<usize> = frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.seq != 0 && is_event(&frame.body))
            .map(|(at, _)| at)
            .collect();
        let wanted = if trick == Trick::Reorder { 2 } else { 1 };
        if events.len() >= wanted {
            self.seen += 1;
            if self.seen.is_multiple_of(40) && self.played < 3 {
                self.played += 1;
                match trick {
                    Trick::Reorder => {
                        let second = frames[events[1]].body.clone();
                        frames[events[1]].body = std::mem::replace(&mut frames[events[0]].body, second);
                    }
                    Trick::Drop => drop(frames.remove(events[0])),
                    Trick::Lose => {
                        // An acknowledgement takes its place, so that the numbers stay whole.
                        let mut ack = Vec::new();
                        let meta = chappe_wire::Meta::of(chappe_wire::Row::Internal);
                        Envelope { meta, body: Body::Ack, payload: &[] }.encode_into(&mut ack);
                        frames[events[0]].body = ack;
                    }
                }
            }
        }
        let mut out = Vec::with_capacity(bytes.len());
        for frame in frames {
            write_frame(&mut out, frame.seq, frame.ack, |out| out.extend_from_slice(&frame.body));
        }
        out
    }
}

struct Owned {
    seq: u32,
    ack: u32,
    body: Vec<u8>,
}

fn split(mut bytes: &[u8]) -> Vec<Owned> {
    let mut frames = Vec::new();
    while bytes.len() >= FRAME_HEADER
        && let Ok(Some((frame, used))) = read_frame(bytes, usize::MAX / 2)
    {
        frames.push(Owned { seq: frame.seq, ack: frame.ack, body: frame.body.to_vec() });
        bytes = &bytes[used..];
    }
    frames
}

fn is_event(body: &[u8]) -> bool {
    matches!(Envelope::decode(body), Ok(Envelope { body: Body::Event { .. }, .. }))
}
