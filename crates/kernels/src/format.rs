//! Block formats of GGUF files and borrowed matrices made of them. The bytes stay where they are (a mapped file);
//! nothing here copies weights.
//!
//! Layouts: ggml `ggml-common.h` and `ggml-quants.c`; checked against gguf-py in `tests/golden`.

use crate::KernelError;

/// How a row of weights is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockFormat {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    BF16,
    /// 32 signed bytes and an f16 scale.
    Q8_0,
    /// 32 nibbles minus 8 and an f16 scale.
    Q4_0,
    /// 32 nibbles, an f16 scale and an f16 minimum.
    Q4_1,
    /// 32 five-bit values minus 16 and an f16 scale.
    Q5_0,
    /// 32 five-bit values, an f16 scale and an f16 minimum.
    Q5_1,
    /// 256 nibbles in 8 sub-blocks, each with a 6-bit scale and minimum.
    Q4K,
    /// 256 five-bit values in 8 sub-blocks, each with a 6-bit scale and minimum.
    Q5K,
    /// 256 six-bit values minus 32 in 16 sub-blocks, each with an 8-bit scale.
    Q6K,
}

/// How the codes of an integer format become values; what the multiply kernels are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeKind {
    /// value = scale * code + offset, both for 32 columns.
    Offset,
    /// value = scale * (code - centre), a scale for 32 columns. Codes are above 127 only around 128.
    Centred { centre: u8 },
    /// value = scale * (code - 32), a scale for 16 columns.
    CentredHalves,
}

impl BlockFormat {
    /// Every format, for tests and listings.
    pub const ALL: [BlockFormat; 11] = [
        BlockFormat::F32,
        BlockFormat::F16,
        BlockFormat::BF16,
        BlockFormat::Q8_0,
        BlockFormat::Q4_0,
        BlockFormat::Q4_1,
        BlockFormat::Q5_0,
        BlockFormat::Q5_1,
        BlockFormat::Q4K,
        BlockFormat::Q5K,
        BlockFormat::Q6K,
    ];

    /// Values in a block.
    pub const fn block_len(self) -> usize {
        match self {
            BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => 1,
            BlockFormat::Q8_0
            | BlockFormat::Q4_0
            | BlockFormat::Q4_1
            | BlockFormat::Q5_0
            | BlockFormat::Q5_1 => 32,
            BlockFormat::Q4K | BlockFormat::Q5K | BlockFormat::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            BlockFormat::F32 => 4,
            BlockFormat::F16 | BlockFormat::BF16 => 2,
            BlockFormat::Q8_0 => 34,
            BlockFormat::Q4_0 => 18,
            BlockFormat::Q4_1 => 20,
            BlockFormat::Q5_0 => 22,
            BlockFormat::Q5_1 => 24,
            BlockFormat::Q4K => 144,
            BlockFormat::Q5K => 176,
            BlockFormat::Q6K => 210,
        }
    }

    /// Bytes of a row of `n_cols` values; `None` when that is not a whole number of blocks.
    pub const fn row_bytes(self, n_cols: usize) -> Option<usize> {
        if !n_cols.is_multiple_of(self.block_len()) {
            return None;
        }
        (n_cols / self.block_len()).checked_mul(self.block_bytes())
    }

    /// `None` for the float formats, which are multiplied as floats.
    pub(crate) const fn code_kind(self) -> Option<CodeKind> {
        match self {
            BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16 => None,
            BlockFormat::Q8_0 => Some(CodeKind::Centred { centre: 128 }),
            BlockFormat::Q5_0 => Some(CodeKind::Centred { centre: 16 }),
            BlockFormat::Q4_0 => Some(CodeKind::Centred { centre: 8 }),
            BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => {
                Some(CodeKind::Offset)
            }
            BlockFormat::Q6K => Some(CodeKind::CentredHalves),
        }
    }

    /// Whether input rows are multiplied in two terms of int8, because one would cost more than the weights' own error.
    pub(crate) const fn multiplies_rests(self) -> bool {
        matches!(self, BlockFormat::Q8_0)
    }

    /// The code that stands for 0, in formats that have no minimum.
    pub(crate) const fn centre(self) -> Option<u8> {
        match self {
            BlockFormat::Q8_0 => Some(128),
            BlockFormat::Q4_0 => Some(8),
            BlockFormat::Q5_0 => Some(16),
            BlockFormat::Q6K => Some(32),
            _ => None,
        }
    }
}

/// A borrowed matrix (n_rows, n_cols), row-major, as it lies in the file (`n_cols` is GGUF's `ne[0]`).
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    format: BlockFormat,
    n_rows: usize,
    n_cols: usize,
    row_bytes: usize,
    bytes: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// Takes `bytes` as a matrix of `n_rows` rows of `n_cols` values.
    ///
    /// # Errors
    /// When a row is not whole blocks, or `bytes` has not exactly the length the shape needs.
    pub fn new(
        format: BlockFormat,
        n_rows: usize,
        n_cols: usize,
        bytes: &'a [u8],
    ) -> Result<Self, KernelError> {
        let row_bytes = format.row_bytes(n_cols).ok_or(KernelError::RowLength { format, n_cols })?;
        let expected = row_bytes.saturating_mul(n_rows);
        if bytes.len() != expected {
            return Err(KernelError::ByteLength { format, n_rows, n_cols, expected, got: bytes.len() });
        }
        Ok(Matrix { format, n_rows, n_cols, row_bytes, bytes })
    }

    /// Block format of the rows.
    pub fn format(&self) -> BlockFormat {
        self.format
    }

    /// Number of rows: the length of a product's row.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns: the length of an input row.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// The blocks, as stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes from one row to the next.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The blocks of `row`.
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.row_bytes..][..self.row_bytes]
    }
}

/// `n_experts` matrices of one shape, one after the other: (n_experts, n_rows, n_cols).
#[derive(Debug, Clone, Copy)]
pub struct ExpertMatrix<'a> {
    n_experts: usize,
    n_rows: usize,
    stacked: Matrix<'a>,
}

impl<'a> ExpertMatrix<'a> {
    /// Takes `bytes` as `n_experts` stacked matrices of `n_rows` rows of `n_cols` values.
    ///
    /// # Errors
    /// As [`Matrix::new`].
    pub fn new(
        format: BlockFormat,
        n_experts: usize,
        n_rows: usize,
        n_cols: usize,
        bytes: &'a [u8],
    ) -> Result<Self, KernelError> {
        let all_rows = n_experts.saturating_mul(n_rows);
        Ok(ExpertMatrix { n_experts, n_rows, stacked: Matrix::new(format, all_rows, n_cols, bytes)? })
    }

    /// Number of experts.
    pub fn n_experts(&self) -> usize {
        self.n_experts
    }

    /// Rows of one expert's matrix.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns of one expert's matrix.
    pub fn n_cols(&self) -> usize {
        self.stacked.n_cols
    }

    /// Block format of the rows.
    pub fn format(&self) -> BlockFormat {
        self.stacked.format
    }

    /// One expert's matrix.
    ///
    /// # Panics
    /// When `expert` is not below [`n_experts`](Self::n_experts).
    pub fn expert(&self, expert: usize) -> Matrix<'a> {
        assert!(expert < self.n_experts, "expert {expert} of {}", self.n_experts);
        let size = self.n_rows * self.stacked.row_bytes;
        Matrix { n_rows: self.n_rows, bytes: &self.stacked.bytes[expert * size..][..size], ..self.stacked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_of_broken_shape_is_refused_with_the_reason() {
        let short = Matrix::new(BlockFormat::Q4_0, 2, 32, &[0; 35]).unwrap_err();
        assert!(short.to_string().contains("needs 36 bytes, 35 were given"), "{short}");
        let ragged = Matrix::new(BlockFormat::Q4K, 1, 576, &[0; 324]).unwrap_err();
        assert!(ragged.to_string().contains("blocks of 256"), "{ragged}");
        assert!(Matrix::new(BlockFormat::F32, usize::MAX, usize::MAX, &[]).is_err());
        assert!(ExpertMatrix::new(BlockFormat::F32, usize::MAX, 2, 1, &[]).is_err());
    }

    #[test]
    fn an_expert_is_its_slice_of_the_stack() {
        let bytes: Vec<u8> = (0..24).collect();
        let stack = ExpertMatrix::new(BlockFormat::F16, 3, 2, 2, &bytes).unwrap();
        assert_eq!(stack.expert(1).row(1), &[12, 13, 14, 15]);
    }
}
