//! Frames: how envelopes stand in a stream of bytes.
//!
//! ```text
//! len: u32 | seq: u32 | ack: u32 | body            (little-endian; len counts all that follows it)
//! ```
//!
//! `seq` numbers the frames of one direction of one connection from 1 on; 0 marks a frame outside the
//! sequence (a bare acknowledgement, a nack, a close). `ack` is the last `seq` that the sender of this frame
//! has taken in. The numbers stand outside the body so that a broadcast's body is encoded once and copied to
//! every peer.

use crate::WireError;

/// Bytes in front of a body: length, sequence number, acknowledgement.
pub const FRAME_HEADER: usize = 12;

/// One frame, borrowed from the buffer that it was read into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Place in the connection's sequence; 0 stands outside it.
    pub seq: u32,
    /// The last sequence number that the other side has taken in.
    pub ack: u32,
    /// The encoded envelope.
    pub body: &'a [u8],
}

/// Appends a frame whose body `write` appends; fills the length in afterwards, so nothing is copied twice.
pub fn write_frame(out: &mut Vec<u8>, seq: u32, ack: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let mut header = [0; FRAME_HEADER];
    header[4..8].copy_from_slice(&seq.to_le_bytes());
    header[8..].copy_from_slice(&ack.to_le_bytes());
    out.extend_from_slice(&header);
    write(out);
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

/// Reads the first frame of `buf`.
///
/// Returns the frame and the bytes it took, or `None` when it is not yet whole.
///
/// # Errors
/// [`WireError::FrameTooLarge`] when the length field is above `max` (a body length in bytes), said before the
/// body has arrived; [`WireError::FrameTooShort`] when it is below the header's own length.
pub fn read_frame(buf: &[u8], max: usize) -> Result<Option<(Frame<'_>, usize)>, WireError> {
    let Some((head, rest)) = buf.split_first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*head) as usize;
    if len > max + FRAME_HEADER - 4 {
        return Err(WireError::FrameTooLarge { size: len, limit: max });
    }
    if len < FRAME_HEADER - 4 {
        return Err(WireError::FrameTooShort { size: len });
    }
    if rest.len() < len {
        return Ok(None);
    }
    let (Some((seq, rest)), total) = (rest[..len].split_first_chunk::<4>(), len + 4) else { return Ok(None) };
    let Some((ack, body)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let frame = Frame { seq: u32::from_le_bytes(*seq), ack: u32::from_le_bytes(*ack), body };
    Ok(Some((frame, total)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_a_frame_is_waited_for_not_misread() {
        let mut buf = Vec::new();
        write_frame(&mut buf, 7, 3, |out| out.extend_from_slice(b"body"));
        for cut in 0..buf.len() {
            assert_eq!(read_frame(&buf[..cut], 1024).unwrap(), None);
        }
        let (frame, used) = read_frame(&buf, 1024).unwrap().unwrap();
        assert_eq!((frame.seq, frame.ack, frame.body, used), (7, 3, &b"body"[..], buf.len()));
    }

    #[test]
    fn an_absurd_length_is_refused_before_its_body_is_waited_for() {
        let err = read_frame(&u32::MAX.to_le_bytes(), 1024).unwrap_err();
        assert!(matches!(err, WireError::FrameTooLarge { .. }), "{err}");
        let err = read_frame(&3u32.to_le_bytes(), 1024).unwrap_err();
        assert!(matches!(err, WireError::FrameTooShort { size: 3 }), "{err}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_frame(&bytes, 32);
        }
    }
}
