//! What is wrong with a piece of data, and where in it.

use std::fmt;

use super::Value;

/// Data that cannot be sent or read. Shows as `args['items'][3].owner: NaN cannot be a key`: the label the caller
/// gave (`data` by default), the way to the place, and what is wrong there (spec/apollo.md section 2, "Data").
///
/// Sending or reading the same data again fails the same way: never retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.path(), .0.refusal)]
pub struct ValueError(Box<Place>);

/// What is wrong with the data at the place a [`ValueError`] names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An integer below -2^63 or above 2^64-1, given as text.
    #[error("the integer {0} does not fit 64 bits")]
    IntegerTooWide(String),
    /// A map key that is NaN: it would never be found again.
    #[error("NaN cannot be a key")]
    NanKey,
    /// A map key of a kind no Python dict could hold.
    #[error("a {0} cannot be a key")]
    KeyKind(&'static str),
    /// More lists and maps inside each other than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("lists and maps are nested deeper than {} levels", super::MAX_DEPTH)]
    TooDeep,
    /// A text, list or map with 2^32 or more bytes or items.
    #[error("{0} bytes or items are more than the format can hold")]
    TooLong(usize),
    /// More bytes, once encoded, than the caller allows.
    #[error("{size} bytes encoded; the limit is {limit}")]
    TooBig {
        /// Encoded size in bytes.
        size: usize,
        /// The caller's limit in bytes.
        limit: usize,
    },
    /// The input stops inside a value.
    #[error("the data ends in the middle of a value")]
    Truncated,
    /// The input goes on after the value.
    #[error("{0} bytes follow the end of the value")]
    Trailing(usize),
    /// A MessagePack extension type (timestamps are one).
    #[error("MessagePack extension types are not supported")]
    Extension,
    /// The one byte MessagePack never uses.
    #[error("0xc1 is not MessagePack")]
    Reserved,
    /// Text that is not valid UTF-8.
    #[error("text is not valid UTF-8")]
    NotUtf8,
    /// The JSON text form is malformed, or an escape (`$bytes`, `$map`, `$int`, `$float`) in it is.
    #[error("{0}")]
    Json(String),
    /// The data does not fit the Rust type it is read into, or that type refused to be written.
    #[error("{0}")]
    Mismatch(String),
}

impl ValueError {
    /// The same error with the data called `label` instead of `data`: the name of a parameter, for example.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.0.label = Some(label.into());
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        &self.0.refusal
    }

    /// The way to the place, beginning with the label: `data['items'][3].owner`.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.path()
    }

    /// Adds one step while the error travels outwards; only failures ever pay for their path.
    #[cold]
    pub(super) fn within(mut self, step: Step) -> Self {
        self.0.steps.push(step);
        self
    }
}

impl From<Refusal> for ValueError {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(Place { label: None, steps: Vec::new(), refusal }))
    }
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refusal::Mismatch(message.to_string()).into()
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refusal::Mismatch(message.to_string()).into()
    }
}

/// One step of a path through data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a Rust struct.
    Field(String),
    /// A map key, as it is to be shown between the brackets.
    Key(String),
    /// A list index.
    Index(usize),
}

impl Step {
    /// The step into an enum variant, which is a map key in the data.
    pub(super) fn variant(name: &str) -> Self {
        Self::Key(format!("'{}'", name.escape_debug()))
    }

    /// The step to what stands under `key`, cut short when the key is long.
    pub(super) fn key(key: &Value) -> Self {
        const SHOWN: usize = 60;
        let full = match key {
            Value::Str(text) => format!("'{}'", text.escape_debug()),
            other => other.to_string(),
        };
        let mut shown: String = full.chars().take(SHOWN).collect();
        if shown.len() < full.len() {
            shown.push('…');
        }
        Self::Key(shown)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    label: Option<String>,
    /// Innermost first, the order in which an error on its way outwards meets them.
    steps: Vec<Step>,
    refusal: Refusal,
}

impl Place {
    fn path(&self) -> String {
        use fmt::Write as _;

        let mut path = self.label.clone().unwrap_or_else(|| "data".to_owned());
        for step in self.steps.iter().rev() {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Field(name) => write!(path, ".{name}"),
                Step::Key(key) => write!(path, "[{key}]"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        path
    }
}
