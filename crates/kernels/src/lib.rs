//! The arithmetic of a forward pass on a CPU: quantised block formats, products of matrices and of grouped experts,
//! attention over KV blocks, short convolution, norms and rotary positions.
//!
//! What holds for every operation of [`Kernels`]:
//! - weights are read as the file has them; nothing is repacked or kept a second time;
//! - a row's bits do not depend on the batch it is in, on the cut of a prefill, on the number of threads, on the
//!   instruction set or on timing: integer dot products are exact, and every f32 sum has one order, written down in
//!   `arch/plain.rs`;
//! - no file, flag, environment variable or clock is read for a result; nothing is printed.
//!
//! ```text
//! kernels     settings, row-by-row operations      matmul     products over the pool
//! experts     experts over the pool
//! attention   KV blocks over the pool              strip      32 rows of weights x all inputs
//! tile        unpacking of blocks                  activation int8 inputs
//! arch/plain  the definition of every kernel       arch/*     the same for an instruction set
//! pool        worker threads                    profile    where the time goes
//! buffer      aligned floats
//! dense       f32 layers of encoders, on the calling thread
//! ```

mod activation;
mod arch;
mod attention;
mod buffer;
mod dense;
mod error;
mod experts;
mod format;
mod kernels;
mod kv;
mod math;
mod matmul;
mod pool;
mod profile;
mod rope;
mod shared_out;
mod strip;
mod tile;

pub use arch::Isa;
pub use attention::AttentionShape;
pub use buffer::Buffer;
pub use dense::{Activation, AttentionScratch, Dense, LayerNorm, PackedMatrix};
pub use error::KernelError;
pub use format::{BlockFormat, ExpertMatrix, Matrix};
pub use kernels::{Kernels, NUMERICS_VERSION, Numerics, Settings};
pub use kv::{
    KV_BLOCK, KvBlockRef, KvType, KvView, erase_keys_behind, erase_values_behind, store_keys, store_values,
};
pub use profile::{Operation, PassTimer, PhaseProfile, Profile, Tally};
pub use rope::{RopePairing, RopeTable};
