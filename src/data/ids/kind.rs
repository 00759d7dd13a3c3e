//! The kinds of ids and their names in contracts: five single ones, and compositions of two or three of them.

use std::fmt;
use std::sync::OnceLock;

/// What the ids of both files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdKind {
    /// Anything: trimmed only.
    #[default]
    Opaque,
    /// E-mail addresses.
    Email,
    /// Telephone numbers in E.164 form.
    Phone,
    /// Hex digests.
    Hash,
    /// Advertising or device ids: hex, often as a UUID.
    Device,
    /// Two or three columns that make one id together, such as `phone+device`.
    Composite(Parts),
}

/// Which two or three kinds a composite id has, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parts(u8);

/// A composition: its kinds and its name.
type Composition = (Vec<IdKind>, String);

/// All compositions; [`Parts`] is a place in it.
fn compositions() -> &'static [Composition] {
    static ALL: OnceLock<Vec<Composition>> = OnceLock::new();
    ALL.get_or_init(|| {
        let named = |kinds: Vec<IdKind>| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let name = names.join("+");
            (kinds, name)
        };
        let pairs = IdKind::ALL.iter().flat_map(|a| IdKind::ALL.iter().map(|b| vec![*a, *b]));
        let pairs: Vec<Vec<IdKind>> = pairs.collect();
        let triples = pairs.iter().flat_map(|pair| IdKind::ALL.iter().map(|c| [pair.as_slice(), &[*c]].concat()));
        pairs.iter().cloned().chain(triples).map(named).collect()
    })
}

impl IdKind {
    /// Every single kind.
    pub const ALL: [Self; 5] = [Self::Opaque, Self::Email, Self::Phone, Self::Hash, Self::Device];

    /// The name in job files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Hash => "hash",
            Self::Device => "device",
            Self::Composite(Parts(place)) => compositions().get(usize::from(place)).map_or("", |(_, name)| name),
        }
    }

    /// The kind of this name; parts of a composite one are joined by `+`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).or_else(|| {
            let place = compositions().iter().position(|(_, composite)| composite == name)?;
            Some(Self::Composite(Parts(u8::try_from(place).ok()?)))
        })
    }

    /// The kinds of its id columns, in order: one unless it is composite.
    #[must_use]
    pub fn parts(self) -> Vec<Self> {
        match self {
            Self::Composite(Parts(place)) => compositions().get(usize::from(place)).map_or_else(Vec::new, |(kinds, _)| kinds.clone()),
            single => vec![single],
        }
    }

    /// What an id of this kind looks like, for messages.
    #[must_use]
    pub fn form(self) -> &'static str {
        match self {
            Self::Opaque => "up to 1,024 bytes without control characters",
            Self::Email => "text, one @, text; no blanks",
            Self::Phone => "E.164: + and 8 to 15 digits",
            Self::Hash => "32, 40, 56, 64, 96 or 128 hex digits",
            Self::Device => "8 to 64 hex digits, not all zero, single hyphens between them",
            Self::Composite(_) => "one column for each part",
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
