//! Metadata keys with typed getters. Values stay in the mapped file; strings and arrays are read out on demand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::Bytes;
use super::cursor::Cursor;
use crate::LmError;

/// The types a value can have. Numbers are the file's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    fn from_id(id: u32) -> Option<Self> {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64]
            .into_iter()
            .find(|&t| t as u32 == id)
    }

    /// Bytes of one value; `None` for strings and arrays.
    fn size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }
}

/// A value's place in the file. For an array, `value_type` is that of its elements.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    value_type: ValueType,
    /// `None` for a scalar, the number of elements for an array.
    count: Option<usize>,
    /// A scalar's or an array's elements; a lone string's bytes without its length.
    range: Range<usize>,
}

pub(super) type Entries = BTreeMap<String, Entry>;

/// Reads `n_keys` keys and steps over their values.
pub(super) fn parse(cursor: &mut Cursor<'_>, n_keys: u64) -> Result<Entries, String> {
    // A key's length, a type and a value take 13 bytes at least.
    cursor.check_count(n_keys, 13, "metadata keys")?;
    let mut entries = Entries::new();
    for key_idx in 0..n_keys {
        let key = cursor.string("a metadata key")?;
        let key = std::str::from_utf8(key)
            .map_err(|_| format!("the name of metadata key {key_idx} is not UTF-8"))?
            .to_owned();
        let entry = parse_value(cursor, &key)?;
        if entries.contains_key(&key) {
            return Err(format!("metadata key `{key}` appears twice"));
        }
        entries.insert(key, entry);
    }
    Ok(entries)
}

fn value_type(cursor: &mut Cursor<'_>, key: &str) -> Result<ValueType, String> {
    let id = cursor.u32("a metadata value's type")?;
    ValueType::from_id(id)
        .ok_or_else(|| format!("metadata key `{key}` has type number {id}, which GGUF does not define"))
}

fn parse_value(cursor: &mut Cursor<'_>, key: &str) -> Result<Entry, String> {
    let value_type = match value_type(cursor, key)? {
        ValueType::Array => return parse_array(cursor, key),
        other => other,
    };
    if let Some(size) = value_type.size() {
        let start = cursor.position();
        cursor.take(size, "a metadata value")?;
        return Ok(Entry { value_type, count: None, range: start..cursor.position() });
    }
    let text = cursor.string("a metadata string")?;
    if std::str::from_utf8(text).is_err() {
        return Err(format!("the string under metadata key `{key}` is not UTF-8"));
    }
    Ok(Entry { value_type, count: None, range: cursor.position() - text.len()..cursor.position() })
}

fn parse_array(cursor: &mut Cursor<'_>, key: &str) -> Result<Entry, String> {
    let value_type = value_type(cursor, key)?;
    let count = cursor.u64("a metadata array's length")?;
    let what = format!("elements of the array `{key}`");
    // A string takes at least its length.
    let min_bytes = match value_type {
        ValueType::Array => {
            return Err(format!("metadata key `{key}` is an array of arrays, which docent does not read"));
        }
        other => other.size().unwrap_or(8),
    };
    cursor.check_count(count, min_bytes as u64, &what)?;
    // It fits in the file, so it fits in a usize.
    let count = count as usize;
    let start = cursor.position();
    if value_type == ValueType::String {
        for _ in 0..count {
            cursor.string(&what)?;
        }
    } else {
        cursor.take(count * min_bytes, &what)?;
    }
    Ok(Entry { value_type, count: Some(count), range: start..cursor.position() })
}

/// A scalar unsigned integer, before [`Metadata`] exists. Signed values count where they are not negative.
pub(super) fn unsigned(bytes: &[u8], entries: &Entries, key: &str) -> Option<u64> {
    let entry = entries.get(key).filter(|e| e.count.is_none())?;
    integer(entry.value_type, &bytes[entry.range.clone()]).and_then(|v| u64::try_from(v).ok())
}

/// Little-endian bytes of one value, sign- or zero-extended; `None` where the type is no integer.
fn integer(value_type: ValueType, bytes: &[u8]) -> Option<i128> {
    let mut wide = [0u8; 8];
    wide[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
    let unsigned = u64::from_le_bytes(wide);
    Some(match value_type {
        ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => i128::from(unsigned),
        ValueType::I8 => i128::from(unsigned as u8 as i8),
        ValueType::I16 => i128::from(unsigned as u16 as i16),
        ValueType::I32 => i128::from(unsigned as u32 as i32),
        ValueType::I64 => i128::from(unsigned as i64),
        _ => return None,
    })
}

fn float(value_type: ValueType, bytes: &[u8]) -> Option<f32> {
    match value_type {
        ValueType::F32 => bytes.try_into().ok().map(f32::from_le_bytes),
        ValueType::F64 => bytes.try_into().ok().map(|b| f64::from_le_bytes(b) as f32),
        _ => None,
    }
}

/// The metadata of a GGUF file.
///
/// A getter gives `Ok(None)` where the key is absent and an error where it has another type; integers are
/// accepted in every width and sign that holds the value. `require_*` turn an absent key into an error.
#[derive(Clone)]
pub struct Metadata {
    bytes: Arc<Bytes>,
    entries: Arc<Entries>,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata").field("path", &self.path()).field("n_keys", &self.entries.len()).finish()
    }
}

impl Metadata {
    pub(super) fn new(bytes: Arc<Bytes>, entries: Entries) -> Self {
        Self { bytes, entries: Arc::new(entries) }
    }

    /// The file the keys come from.
    pub fn path(&self) -> &Path {
        self.bytes.path()
    }

    /// All keys, in alphabetic order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether the file has the key.
    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The number of elements where the key is an array.
    pub fn array_len(&self, key: &str) -> Option<usize> {
        self.entries.get(key).and_then(|e| e.count)
    }

    /// A string.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no string.
    pub fn string(&self, key: &str) -> Result<Option<&str>, LmError> {
        self.scalar(key, "string", |entry, bytes| match entry.value_type {
            ValueType::String => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no boolean.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, LmError> {
        self.scalar(key, "bool", |entry, bytes| match entry.value_type {
            ValueType::Bool => Some(bytes[0] != 0),
            _ => None,
        })
    }

    /// An unsigned integer of 32 bits.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no integer that fits.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, LmError> {
        self.scalar(key, "u32", |entry, bytes| {
            integer(entry.value_type, bytes).and_then(|v| u32::try_from(v).ok())
        })
    }

    /// An unsigned integer of 64 bits.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no integer that fits.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, LmError> {
        self.scalar(key, "u64", |entry, bytes| {
            integer(entry.value_type, bytes).and_then(|v| u64::try_from(v).ok())
        })
    }

    /// A floating-point number.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no floating-point number.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, LmError> {
        self.scalar(key, "f32", |entry, bytes| float(entry.value_type, bytes))
    }

    /// An array of strings. Bytes that are not UTF-8 are an error here, not when the file is opened.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no array of strings, [`LmError::Malformed`] where one is not UTF-8.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>, LmError> {
        let Some((entry, count)) = self.array(key, "array of strings")? else { return Ok(None) };
        if entry.value_type != ValueType::String {
            return Err(self.wrong_type(key, entry, "array of strings"));
        }
        let mut cursor = Cursor::new(&self.bytes[entry.range.clone()]);
        let mut out = Vec::with_capacity(count);
        for idx in 0..count {
            let text = cursor.string(key).map_err(|what| self.malformed(what))?;
            let text = std::str::from_utf8(text)
                .map_err(|_| self.malformed(format!("element {idx} of `{key}` is not UTF-8")))?;
            out.push(text);
        }
        Ok(Some(out))
    }

    /// An array of integers of any width, booleans as 0 and 1.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no such array or a value exceeds an i64.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, LmError> {
        self.numbers(key, "array of integers", |value_type, bytes| match value_type {
            ValueType::Bool => Some(i64::from(bytes[0] != 0)),
            other => integer(other, bytes).and_then(|v| i64::try_from(v).ok()),
        })
    }

    /// An array of floating-point numbers.
    ///
    /// # Errors
    /// [`LmError::KeyType`] where the key is no such array.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>, LmError> {
        self.numbers(key, "array of floats", float)
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// [`LmError::MissingKey`] or [`LmError::KeyType`].
    pub fn require_string(&self, key: &str) -> Result<&str, LmError> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    /// An unsigned integer that must be there.
    ///
    /// # Errors
    /// [`LmError::MissingKey`] or [`LmError::KeyType`].
    pub fn require_u32(&self, key: &str) -> Result<u32, LmError> {
        self.u32(key)?.ok_or_else(|| self.missing(key))
    }

    /// A floating-point number that must be there.
    ///
    /// # Errors
    /// [`LmError::MissingKey`] or [`LmError::KeyType`].
    pub fn require_f32(&self, key: &str) -> Result<f32, LmError> {
        self.f32(key)?.ok_or_else(|| self.missing(key))
    }

    /// An array of strings that must be there.
    ///
    /// # Errors
    /// [`LmError::MissingKey`], [`LmError::KeyType`] or [`LmError::Malformed`].
    pub fn require_strings(&self, key: &str) -> Result<Vec<&str>, LmError> {
        self.strings(key)?.ok_or_else(|| self.missing(key))
    }

    fn scalar<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        read: impl Fn(&Entry, &'a [u8]) -> Option<T>,
    ) -> Result<Option<T>, LmError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let value = if entry.count.is_none() { read(entry, &self.bytes[entry.range.clone()]) } else { None };
        value.map(Some).ok_or_else(|| self.wrong_type(key, entry, expected))
    }

    fn array(&self, key: &str, expected: &'static str) -> Result<Option<(&Entry, usize)>, LmError> {
        let Some(entry) = self.entries.get(key) else { return Ok(None) };
        let count = entry.count.ok_or_else(|| self.wrong_type(key, entry, expected))?;
        Ok(Some((entry, count)))
    }

    fn numbers<T>(
        &self,
        key: &str,
        expected: &'static str,
        read: impl Fn(ValueType, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, LmError> {
        let Some((entry, _)) = self.array(key, expected)? else { return Ok(None) };
        let size = entry.value_type.size().ok_or_else(|| self.wrong_type(key, entry, expected))?;
        let bytes = &self.bytes[entry.range.clone()];
        let values: Option<Vec<T>> = bytes.chunks_exact(size).map(|b| read(entry.value_type, b)).collect();
        values.map(Some).ok_or_else(|| self.wrong_type(key, entry, expected))
    }

    fn missing(&self, key: &str) -> LmError {
        LmError::MissingKey { path: self.path().to_owned(), key: key.to_owned() }
    }

    fn malformed(&self, what: String) -> LmError {
        LmError::Malformed { path: self.path().to_owned(), what }
    }

    fn wrong_type(&self, key: &str, entry: &Entry, expected: &'static str) -> LmError {
        let found = if entry.count.is_some() { "array" } else { entry.value_type.name() };
        LmError::KeyType { path: self.path().to_owned(), key: key.to_owned(), found, expected }
    }
}
