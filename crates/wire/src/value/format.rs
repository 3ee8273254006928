//! The bytes of MessagePack: what the beginning of a value says, read and written.

use super::error::{Refusal, ValueError};

/// What the first bytes of a value say it is. A length is the number of bytes, items or pairs that follow.
pub(super) enum Head {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    Str(usize),
    Bytes(usize),
    List(usize),
    Map(usize),
}

/// The input not yet read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'de> {
    pub(super) rest: &'de [u8],
}

impl<'de> Reader<'de> {
    /// Reads a head. A list or map that says it is longer than what follows could be is refused here, so that no
    /// length is ever believed (to make room, for example) before the bytes are there.
    // Inlined, the head never exists in memory: a quarter off the time to read a small struct.
    #[inline(always)]
    pub(super) fn head(&mut self) -> Result<Head, ValueError> {
        Ok(match self.byte()? {
            n @ 0x00..=0x7f => Head::Unsigned(n.into()),
            n @ 0x80..=0x8f => self.map_of((n & 0x0f).into())?,
            n @ 0x90..=0x9f => self.list_of((n & 0x0f).into())?,
            n @ 0xa0..=0xbf => Head::Str((n & 0x1f).into()),
            0xc0 => Head::Nil,
            0xc1 => return Err(Refusal::Reserved.into()),
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4 => Head::Bytes(self.byte()?.into()),
            0xc5 => Head::Bytes(self.u16()?.into()),
            0xc6 => Head::Bytes(self.u32()? as usize),
            0xc7..=0xc9 | 0xd4..=0xd8 => return Err(Refusal::Extension.into()),
            0xca => Head::Float(f32::from_be_bytes(self.array()?).into()),
            0xcb => Head::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Head::Unsigned(self.byte()?.into()),
            0xcd => Head::Unsigned(self.u16()?.into()),
            0xce => Head::Unsigned(self.u32()?.into()),
            0xcf => Head::Unsigned(u64::from_be_bytes(self.array()?)),
            0xd0 => signed(i8::from_be_bytes(self.array()?).into()),
            0xd1 => signed(i16::from_be_bytes(self.array()?).into()),
            0xd2 => signed(i32::from_be_bytes(self.array()?).into()),
            0xd3 => signed(i64::from_be_bytes(self.array()?)),
            0xd9 => Head::Str(self.byte()?.into()),
            0xda => Head::Str(self.u16()?.into()),
            0xdb => Head::Str(self.u32()? as usize),
            0xdc => {
                let len = self.u16()?;
                self.list_of(len.into())?
            }
            0xdd => {
                let len = self.u32()?;
                self.list_of(len as usize)?
            }
            0xde => {
                let len = self.u16()?;
                self.map_of(len.into())?
            }
            0xdf => {
                let len = self.u32()?;
                self.map_of(len as usize)?
            }
            n @ 0xe0..=0xff => Head::Negative((n as i8).into()),
        })
    }

    pub(super) fn text(&mut self, len: usize) -> Result<&'de str, ValueError> {
        std::str::from_utf8(self.take(len)?).map_err(|_| Refusal::NotUtf8.into())
    }

    /// Passes text.
    pub(super) fn pass_text(&mut self, len: usize) -> Result<(), ValueError> {
        let bytes = self.take(len)?;
        // Most text is short and ASCII: seen to be so, it costs no call.
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            return Ok(());
        }
        Err(Refusal::NotUtf8.into())
    }

    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Result<&'de [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Refusal::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A list of `len` items, each of which takes at least one byte.
    fn list_of(&self, len: usize) -> Result<Head, ValueError> {
        if len > self.rest.len() { Err(Refusal::Truncated.into()) } else { Ok(Head::List(len)) }
    }

    /// A map of `len` pairs, each of which takes at least two bytes.
    fn map_of(&self, len: usize) -> Result<Head, ValueError> {
        if len > self.rest.len() / 2 { Err(Refusal::Truncated.into()) } else { Ok(Head::Map(len)) }
    }

    fn byte(&mut self) -> Result<u8, ValueError> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, ValueError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, ValueError> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Refusal::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

fn signed(n: i64) -> Head {
    u64::try_from(n).map_or(Head::Negative(n), Head::Unsigned)
}

/// Refuses the key at the beginning of `input` if no Python dict could hold it or find it again.
pub(super) fn check_key(input: &[u8]) -> Result<(), ValueError> {
    let nan = match input {
        [0x90..=0x9f | 0xdc | 0xdd, ..] => return Err(Refusal::KeyKind("list").into()),
        [0x80..=0x8f | 0xde | 0xdf, ..] => return Err(Refusal::KeyKind("map").into()),
        [0xca, a, b, c, d, ..] => f32::from_be_bytes([*a, *b, *c, *d]).is_nan(),
        [0xcb, a, b, c, d, e, f, g, h, ..] => f64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]).is_nan(),
        _ => false,
    };
    if nan { Err(Refusal::NanKey.into()) } else { Ok(()) }
}

/// A list or a map.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    List,
    Map,
}

impl Shape {
    /// Writes the head of a list or map of `len` items or pairs.
    pub(crate) fn put_head(self, out: &mut Vec<u8>, len: usize) -> Result<(), ValueError> {
        let (short, medium, long) = match self {
            Self::List => (0x90, 0xdc, 0xdd),
            Self::Map => (0x80, 0xde, 0xdf),
        };
        match fits(len)? {
            n @ 0..=15 => out.push(short | n as u8),
            n @ 16..=0xffff => put(out, medium, (n as u16).to_be_bytes()),
            n => put(out, long, n.to_be_bytes()),
        }
        Ok(())
    }

    /// How many bytes [`put_head`](Self::put_head) wrote for `len`.
    pub(super) fn head_size(len: usize) -> usize {
        match len {
            0..=15 => 1,
            16..=0xffff => 3,
            _ => 5,
        }
    }
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) -> Result<(), ValueError> {
    match fits(text.len())? {
        n @ 0..=31 => out.push(0xa0 | n as u8),
        n @ 32..=0xff => put(out, 0xd9, (n as u8).to_be_bytes()),
        n @ 0x100..=0xffff => put(out, 0xda, (n as u16).to_be_bytes()),
        n => put(out, 0xdb, n.to_be_bytes()),
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), ValueError> {
    match fits(bytes.len())? {
        n @ 0..=0xff => put(out, 0xc4, (n as u8).to_be_bytes()),
        n @ 0x100..=0xffff => put(out, 0xc5, (n as u16).to_be_bytes()),
        n => put(out, 0xc6, n.to_be_bytes()),
    }
    out.extend_from_slice(bytes);
    Ok(())
}

pub(crate) fn put_int(out: &mut Vec<u8>, n: i64) {
    const I8: i64 = i8::MIN as i64;
    const I16: i64 = i16::MIN as i64;
    const I32: i64 = i32::MIN as i64;
    match n {
        0.. => put_uint(out, n as u64),
        -32.. => out.push(n as u8),
        I8.. => put(out, 0xd0, (n as i8).to_be_bytes()),
        I16.. => put(out, 0xd1, (n as i16).to_be_bytes()),
        I32.. => put(out, 0xd2, (n as i32).to_be_bytes()),
        _ => put(out, 0xd3, n.to_be_bytes()),
    }
}

pub(crate) fn put_uint(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x7f => out.push(n as u8),
        0x80..=0xff => put(out, 0xcc, (n as u8).to_be_bytes()),
        0x100..=0xffff => put(out, 0xcd, (n as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => put(out, 0xce, (n as u32).to_be_bytes()),
        _ => put(out, 0xcf, n.to_be_bytes()),
    }
}

/// Writes a marker and the big-endian bytes that follow it.
pub(super) fn put<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}

fn fits(len: usize) -> Result<u32, ValueError> {
    u32::try_from(len).map_err(|_| Refusal::TooLong(len).into())
}
