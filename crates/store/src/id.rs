//! Ids that callers choose.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u128);

        impl $name {
            /// An id out of who chose it (a node's life, unique for ever) and a number of its own.
            /// Ids of one origin lie side by side in the store, which keeps its pages few.
            pub fn new(origin: u64, number: u64) -> $name {
                $name((u128::from(origin) << 64) | u128::from(number))
            }

            pub(crate) fn bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The id that a store wrote; `None` for bytes that are none.
            pub(crate) fn from_bytes(bytes: &[u8]) -> Option<$name> {
                bytes.try_into().ok().map(|bytes| $name(u128::from_be_bytes(bytes)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}-{:x}", self.0 >> 64, self.0 as u64)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.bytes())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let bytes: serde_bytes::ByteArray<16> = serde::Deserialize::deserialize(deserializer)?;
                Ok($name(u128::from_be_bytes(*bytes)))
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<$name, Self::Err> {
                let (origin, number) = text.split_once('-').unwrap_or(("0", text));
                Ok($name::new(u64::from_str_radix(origin, 16)?, u64::from_str_radix(number, 16)?))
            }
        }
    };
}

id! {
    /// Names one commit for ever: the same id is never applied twice (snipe.md section 4).
    CommitId
}

id! {
    /// Names one durable notification (snipe.md section 3). Its sender chooses it, so that a handler on the same
    /// node can consume it before the disk has answered.
    NotificationId
}
