//! Tensors as layers hold them: a format, a shape and a range of the mapped file, checked once when the model is opened.

use std::ops::Range;

use docent_kernels::{BlockFormat, ExpertMatrix, Matrix};

use crate::LmError;
use crate::gguf::{Gguf, TensorInfo, TensorType};

/// A matrix in the file, (n_rows, n_cols), or `n_experts` of them one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Weight {
    format: BlockFormat,
    n_experts: usize,
    n_rows: usize,
    n_cols: usize,
    range: Range<usize>,
}

const CHECKED: &str = "the shape was checked against the file when the model was opened";

impl Weight {
    /// The matrix over the file's bytes.
    pub(crate) fn matrix<'a>(&self, file: &'a [u8]) -> Matrix<'a> {
        Matrix::new(self.format, self.n_rows, self.n_cols, &file[self.range.clone()]).expect(CHECKED)
    }

    /// The stack of matrices over the file's bytes.
    pub(crate) fn experts<'a>(&self, file: &'a [u8]) -> ExpertMatrix<'a> {
        let bytes = &file[self.range.clone()];
        ExpertMatrix::new(self.format, self.n_experts, self.n_rows, self.n_cols, bytes).expect(CHECKED)
    }

    /// Length of an output row.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }
}

/// Finds tensors by name and proves their shapes.
pub(crate) struct Loader<'a> {
    file: &'a Gguf,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(file: &'a Gguf) -> Self {
        Self { file }
    }

    /// A matrix of `n_rows` rows of `n_cols`.
    pub(crate) fn matrix(&self, name: &str, n_rows: usize, n_cols: usize) -> Result<Weight, LmError> {
        let info = self.tensor(name, &[n_cols, n_rows])?;
        let weight = Weight {
            format: self.format(name, info)?,
            n_experts: 1,
            n_rows,
            n_cols,
            range: info.range.clone(),
        };
        Matrix::new(weight.format, n_rows, n_cols, &self.file.file()[info.range.clone()])
            .map_err(|e| self.refused(name, &e))?;
        Ok(weight)
    }

    /// The same where the file has it.
    pub(crate) fn optional_matrix(
        &self,
        name: &str,
        n_rows: usize,
        n_cols: usize,
    ) -> Result<Option<Weight>, LmError> {
        if self.has(name) { self.matrix(name, n_rows, n_cols).map(Some) } else { Ok(None) }
    }

    /// `n_experts` matrices of `n_rows` rows of `n_cols`.
    pub(crate) fn experts(
        &self,
        name: &str,
        n_experts: usize,
        n_rows: usize,
        n_cols: usize,
    ) -> Result<Weight, LmError> {
        let info = self.tensor(name, &[n_cols, n_rows, n_experts])?;
        let weight =
            Weight { format: self.format(name, info)?, n_experts, n_rows, n_cols, range: info.range.clone() };
        let bytes = &self.file.file()[info.range.clone()];
        ExpertMatrix::new(weight.format, n_experts, n_rows, n_cols, bytes)
            .map_err(|e| self.refused(name, &e))?;
        Ok(weight)
    }

    /// A small tensor read out as floats: norms, biases, convolution kernels. `dims` as the file has them, fastest first.
    pub(crate) fn floats(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>, LmError> {
        let info = self.tensor(name, dims)?;
        let bytes = &self.file.file()[info.range.clone()];
        match info.tensor_type {
            TensorType::F32 => Ok(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
            TensorType::F16 => {
                Ok(bytes.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32()).collect())
            }
            TensorType::BF16 => {
                Ok(bytes.as_chunks().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32()).collect())
            }
            _ => Err(self.wrong_type(name, info)),
        }
    }

    /// The same where the file has it.
    pub(crate) fn optional_floats(&self, name: &str, dims: &[usize]) -> Result<Option<Vec<f32>>, LmError> {
        if self.has(name) { self.floats(name, dims).map(Some) } else { Ok(None) }
    }

    /// Whether the file has a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// That a tensor is missing.
    pub(crate) fn missing(&self, name: &str) -> LmError {
        LmError::MissingTensor { path: self.file.path().to_owned(), tensor: name.to_owned() }
    }

    /// The tensor, if its shape is `dims` up to dimensions of 1 at the end.
    fn tensor(&self, name: &str, dims: &[usize]) -> Result<&'a TensorInfo, LmError> {
        let info = self.file.tensor(name).ok_or_else(|| self.missing(name))?;
        let significant = |dims: &[usize]| dims.iter().rposition(|&d| d != 1).map_or(0, |last| last + 1);
        if info.dims[..significant(&info.dims)] != dims[..significant(dims)] {
            return Err(LmError::TensorShape {
                path: self.file.path().to_owned(),
                tensor: name.to_owned(),
                found: info.dims.clone(),
                expected: dims.to_owned(),
            });
        }
        Ok(info)
    }

    fn format(&self, name: &str, info: &TensorInfo) -> Result<BlockFormat, LmError> {
        Ok(match info.tensor_type {
            TensorType::F32 => BlockFormat::F32,
            TensorType::F16 => BlockFormat::F16,
            TensorType::BF16 => BlockFormat::BF16,
            TensorType::Q8_0 => BlockFormat::Q8_0,
            TensorType::Q4_0 => BlockFormat::Q4_0,
            TensorType::Q4_1 => BlockFormat::Q4_1,
            TensorType::Q5_0 => BlockFormat::Q5_0,
            TensorType::Q5_1 => BlockFormat::Q5_1,
            TensorType::Q4K => BlockFormat::Q4K,
            TensorType::Q5K => BlockFormat::Q5K,
            TensorType::Q6K => BlockFormat::Q6K,
            TensorType::Other(_) => return Err(self.wrong_type(name, info)),
        })
    }

    fn wrong_type(&self, name: &str, info: &TensorInfo) -> LmError {
        LmError::TensorType {
            path: self.file.path().to_owned(),
            tensor: name.to_owned(),
            found: info.tensor_type.to_string(),
        }
    }

    fn refused(&self, name: &str, error: &docent_kernels::KernelError) -> LmError {
        LmError::Malformed { path: self.file.path().to_owned(), what: format!("tensor `{name}`: {error}") }
    }
}
