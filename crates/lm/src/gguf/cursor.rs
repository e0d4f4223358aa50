//! A bounds-checked reader over the file's bytes. Every error says what was being read and where.

/// Reads little-endian numbers and strings from the front of a slice.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Length of the whole file.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The next `n` bytes; `what` names them in the error.
    pub(super) fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..n).ok_or_else(|| {
            format!(
                "{what} at byte {} needs {n} bytes, {} are left: the file is truncated or corrupted",
                self.position,
                rest.len()
            )
        })?;
        self.position += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A u64 length and that many bytes.
    pub(super) fn string(&mut self, what: &str) -> Result<&'a [u8], String> {
        let at = self.position;
        let len = self.u64(what)?;
        let len = usize::try_from(len).map_err(|_| format!("{what} at byte {at} claims {len} bytes"))?;
        self.take(len, what)
    }

    /// Refuses a count of things that take `min_bytes` each and so cannot fit in what is left.
    pub(super) fn check_count(&self, count: u64, min_bytes: u64, what: &str) -> Result<(), String> {
        let left = (self.bytes.len() - self.position) as u64;
        if count > left / min_bytes {
            return Err(format!(
                "it claims {count} {what}, which cannot fit in the {left} bytes left: it is truncated or corrupted"
            ));
        }
        Ok(())
    }
}
