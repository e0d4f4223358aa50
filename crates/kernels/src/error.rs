//! What can go wrong before a kernel runs. The kernels themselves do not fail: shapes are proved when a
//! [`Matrix`](crate::Matrix) is made, and a mismatch between arguments is a bug of the caller (a panic that says so).

use crate::{BlockFormat, Isa};

/// Why a matrix or a [`Kernels`](crate::Kernels) could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A row of `n_cols` values is not a whole number of blocks.
    #[error(
        "a row of {n_cols} values cannot be stored as {format:?}: rows must be whole blocks of {} values; the file is damaged or was written for another shape",
        format.block_len()
    )]
    RowLength {
        /// Format of the matrix.
        format: BlockFormat,
        /// Values in a row.
        n_cols: usize,
    },
    /// The bytes given are not the bytes the shape needs.
    #[error(
        "a {format:?} matrix of {n_rows} rows and {n_cols} columns needs {expected} bytes, {got} were given; the file is truncated or its header is wrong"
    )]
    ByteLength {
        /// Format of the matrix.
        format: BlockFormat,
        /// Rows (of all experts together).
        n_rows: usize,
        /// Values in a row.
        n_cols: usize,
        /// Bytes the shape needs (`usize::MAX` when it overflows).
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The instruction set asked for is not there.
    #[error(
        "this processor has no {0:?} instructions; leave the instruction set unset to use the best one present"
    )]
    IsaMissing(Isa),
    /// No thread to run on.
    #[error("at least one thread is needed to compute; set the number of threads to 1 or more")]
    NoThreads,
    /// The system refused a worker thread.
    #[error("the system refused a worker thread ({0}); use fewer threads")]
    Spawn(String),
}
