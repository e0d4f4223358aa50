//! The types a GGUF tensor can have. Source: ggml `include/ggml.h` (`enum ggml_type`).

use std::fmt;

/// A tensor's type: those docent computes with, and the names of the others for its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are ggml's own")]
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4K,
    Q5K,
    Q6K,
    /// A type that ggml defines and docent does not compute with.
    Other(&'static str),
}

/// Number in the file, type.
const TYPES: &[(u32, TensorType)] = &[
    (0, TensorType::F32),
    (1, TensorType::F16),
    (2, TensorType::Q4_0),
    (3, TensorType::Q4_1),
    (6, TensorType::Q5_0),
    (7, TensorType::Q5_1),
    (8, TensorType::Q8_0),
    (9, TensorType::Other("Q8_1")),
    (10, TensorType::Other("Q2_K")),
    (11, TensorType::Other("Q3_K")),
    (12, TensorType::Q4K),
    (13, TensorType::Q5K),
    (14, TensorType::Q6K),
    (15, TensorType::Other("Q8_K")),
    (16, TensorType::Other("IQ2_XXS")),
    (17, TensorType::Other("IQ2_XS")),
    (18, TensorType::Other("IQ3_XXS")),
    (19, TensorType::Other("IQ1_S")),
    (20, TensorType::Other("IQ4_NL")),
    (21, TensorType::Other("IQ3_S")),
    (22, TensorType::Other("IQ2_S")),
    (23, TensorType::Other("IQ4_XS")),
    (24, TensorType::Other("I8")),
    (25, TensorType::Other("I16")),
    (26, TensorType::Other("I32")),
    (27, TensorType::Other("I64")),
    (28, TensorType::Other("F64")),
    (29, TensorType::Other("IQ1_M")),
    (30, TensorType::BF16),
    (34, TensorType::Other("TQ1_0")),
    (35, TensorType::Other("TQ2_0")),
    (39, TensorType::Other("MXFP4")),
];

impl TensorType {
    /// The type with that number in a GGUF file.
    pub fn from_id(id: u32) -> Option<Self> {
        TYPES.iter().find(|(number, _)| *number == id).map(|(_, tensor_type)| *tensor_type)
    }

    /// Numbers in a block and bytes of a block; `None` for the types docent does not compute with.
    pub fn layout(self) -> Option<(usize, usize)> {
        Some(match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Other(name) => name,
        })
    }
}
