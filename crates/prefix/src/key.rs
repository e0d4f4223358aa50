//! Namespaces and chained keys.

use std::fmt;

/// Everything that could change a bit of what is kept, as one hash. Blocks of different namespaces never meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Namespace([u8; 32]);

impl Namespace {
    /// The namespace of these facts, each a name and a value. Names, values and their order all count.
    pub fn of(facts: &[(&str, Vec<u8>)]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("docent prefix store 2026 namespace");
        for (name, value) in facts {
            for part in [name.as_bytes(), &value[..]] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The folder of its blocks.
    pub(crate) fn folder(&self) -> String {
        hex(&self.0[..16])
    }
}

impl From<[u8; 32]> for Namespace {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.folder())
    }
}

/// Names a sequence of tokens from the first one on, within a namespace.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The key before the first token.
    pub fn root(namespace: &Namespace) -> Self {
        Self(blake3::derive_key("docent prefix store 2026 root", &namespace.0))
    }

    /// The key after `tokens` more.
    pub fn child(&self, tokens: &[u32]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&(tokens.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        hasher.update(&bytes);
        Self(*hasher.finalize().as_bytes())
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The half of it that file names and the log of uses carry.
    pub(crate) fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }
}

impl From<[u8; 32]> for Key {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex(&self.0[..16]))
    }
}

/// A block's place: the halves of its parent's key and of its own, as its file is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) parent: [u8; 16],
    pub(crate) key: [u8; 16],
}

impl Name {
    pub(crate) fn new(parent: &Key, key: &Key) -> Self {
        Self { parent: parent.short(), key: key.short() }
    }

    pub(crate) fn file(&self) -> String {
        format!("{}-{}", hex(&self.parent), hex(&self.key))
    }

    /// Reads a file's name; `None` for files that are no blocks.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let (parent, key) = file.split_once('-')?;
        Some(Self { parent: unhex(parent)?, key: unhex(key)? })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    // One spelling only: two names of one block would be two blocks.
    (hex(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_the_namespace_on_every_token_and_on_where_blocks_end() {
        let (a, b) =
            (Namespace::of(&[("weights", b"1".to_vec())]), Namespace::of(&[("weights", b"2".to_vec())]));
        assert_ne!(Key::root(&a), Key::root(&b));
        let root = Key::root(&a);
        assert_eq!(root.child(&[1, 2, 3]), root.child(&[1, 2, 3]));
        assert_ne!(root.child(&[1, 2, 3]), root.child(&[1, 2, 4]));
        assert_ne!(root.child(&[1, 2, 3]), root.child(&[1, 2]).child(&[3]));
        assert_ne!(root.child(&[]), root);
    }

    #[test]
    fn facts_cannot_be_shifted_between_names_and_values() {
        let of = |facts: &[(&'static str, &str)]| {
            Namespace::of(&facts.iter().map(|&(name, value)| (name, value.into())).collect::<Vec<_>>())
        };
        assert_ne!(of(&[("ab", "c")]), of(&[("a", "bc")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "b\0\0c"), ("", "d")]));
    }

    #[test]
    fn names_read_back_and_nothing_else_is_one() {
        let root = Key::root(&Namespace::of(&[]));
        let name = Name::new(&root, &root.child(&[7]));
        assert_eq!(Name::parse(&name.file()), Some(name));
        for foreign in ["", "lock", "tmp-1-2", &name.file()[1..], &name.file().to_uppercase(), "a-b"] {
            assert_eq!(Name::parse(foreign), None, "{foreign}");
        }
    }
}
