//! A file of weights: PyTorch in any of its containers, or safetensors. Its tensors are listed first and read on demand.
//!
//! A pickle is parsed, never run: objects of unknown classes are passed over, and a tensor that only a class of its own
//! could put together is refused.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{bf16, f16};
use pytorch_reader::{DType, FileFormat, PickleError, PytorchError, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use tempfile::TempPath;

use super::archive;
use super::error::ExchangeError;
use crate::digest::sha256_of_file;
use crate::model::HostTensor;

/// The entry of a safetensors header in which simtrot's exports say what they are.
pub(super) const METADATA: &str = "simtrot";

/// A weights file whose tensors are known by name.
pub(super) struct WeightsFile {
    pub(super) path: PathBuf,
    /// How it is packed, in words.
    pub(super) container: &'static str,
    /// SHA-256 of its bytes, in hexadecimal.
    pub(super) sha256: String,
    /// Every tensor by its name: the keys that lead to it, joined by dots.
    pub(super) tensors: BTreeMap<String, Stored>,
    /// What one of simtrot's own exports says of itself in its header.
    pub(super) metadata: Option<String>,
    /// The file that the tensors are read from, where it is not the one at `path`.
    _copy: Option<TempPath>,
}

/// A tensor not read yet.
pub(super) struct Stored {
    pub(super) shape: Vec<usize>,
    pub(super) element: Dtype,
    values: Values,
}

enum Values {
    Torch(pytorch_reader::Tensor),
    /// Bytes of a safetensors file.
    Within(Arc<Vec<u8>>, Range<usize>),
}

impl WeightsFile {
    /// Opens a file by what it holds, whatever its name ends in.
    pub(super) fn open(path: &Path) -> Result<Self, ExchangeError> {
        let io = |cause| ExchangeError::Io { path: path.to_owned(), cause };
        let sha256 = sha256_of_file(path).map_err(io)?;
        let file = if is_safetensors(path).map_err(io)? { safetensors(path, sha256)? } else { torch(path, sha256)? };
        if file.tensors.is_empty() {
            return Err(ExchangeError::NoWeights { path: file.path, cause: "it holds no tensor".to_owned() });
        }
        Ok(file)
    }

    /// A tensor's values as float32.
    pub(super) fn read(&self, name: &str) -> Result<HostTensor, ExchangeError> {
        let damaged = |cause: String| ExchangeError::Damaged { path: self.path.clone(), name: name.to_owned(), cause };
        let Stored { shape, element, values } = &self.tensors[name];
        let values = match values {
            Values::Torch(tensor) => float32(&tensor.read().map_err(|error| damaged(error.to_string()))?, *element),
            Values::Within(file, range) => float32(&file[range.clone()], *element),
        };
        let values = values.ok_or_else(|| damaged(format!("elements of type {element:?} have no float32 value")))?;
        Ok(HostTensor { shape: shape.clone(), values })
    }
}

/// Values as float32, rounded to the nearest; none for types that hold something else than numbers.
fn float32(bytes: &[u8], element: Dtype) -> Option<Vec<f32>> {
    /// Applies `number` to each `N` bytes.
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&chunk| number(chunk)).collect()
    }
    Some(match element {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        _ => return None,
    })
}

/// Whether a file begins as safetensors do: the length of a header, then the brace that its JSON begins with.
fn is_safetensors(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(9).read_to_end(&mut start)?;
    let length = start.first_chunk().map(|&length| u64::from_le_bytes(length));
    Ok(length.is_some_and(|length| length < 100_000_000) && start.get(8) == Some(&b'{'))
}

fn safetensors(path: &Path, sha256: String) -> Result<WeightsFile, ExchangeError> {
    let bytes = std::fs::read(path).map_err(|cause| ExchangeError::Io { path: path.to_owned(), cause })?;
    let (length, header) =
        SafeTensors::read_metadata(&bytes).map_err(|error| ExchangeError::NoWeights { path: path.to_owned(), cause: error.to_string() })?;
    let metadata = header.metadata().as_ref().and_then(|entries| entries.get(METADATA).cloned());
    // Offsets count from the end of the header, which its own length precedes.
    let start = size_of::<u64>() + length;
    let bytes = Arc::new(bytes);
    let tensors = header.tensors().into_iter().map(|(name, info)| {
        let (from, to) = info.data_offsets;
        let values = Values::Within(Arc::clone(&bytes), start + from..start + to);
        (name, Stored { shape: info.shape.clone(), element: info.dtype, values })
    });
    Ok(WeightsFile { path: path.to_owned(), container: "safetensors", sha256, tensors: tensors.collect(), metadata, _copy: None })
}

fn torch(path: &Path, sha256: String) -> Result<WeightsFile, ExchangeError> {
    let io = |cause| ExchangeError::Io { path: path.to_owned(), cause };
    let mut copy = None;
    let mut reader = PytorchReader::new(path);
    if matches!(reader, Err(PytorchError::Zip(_))) {
        copy = archive::without_end64(path).map_err(io)?;
        if let Some(copy) = &copy {
            reader = PytorchReader::new(copy);
        }
    }
    let reader = reader.map_err(|error| match error {
        PytorchError::Pickle(PickleError::UnsupportedType(class)) => ExchangeError::Class { path: path.to_owned(), class },
        other => ExchangeError::NoWeights { path: path.to_owned(), cause: other.to_string() },
    })?;
    let container = match reader.metadata().format_type {
        FileFormat::Zip => "PyTorch archive",
        FileFormat::Tar => "PyTorch tape archive",
        FileFormat::Legacy => "PyTorch stream, as before 1.6",
        FileFormat::Pickle => "pickle",
    };
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let element = match tensor.dtype() {
            DType::F64 => Dtype::F64,
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            DType::I16 => Dtype::I16,
            DType::I8 => Dtype::I8,
            DType::U64 => Dtype::U64,
            DType::U32 => Dtype::U32,
            DType::U16 => Dtype::U16,
            DType::U8 => Dtype::U8,
            DType::Bool => Dtype::BOOL,
        };
        (name, Stored { shape: tensor.shape().to_vec(), element, values: Values::Torch(tensor) })
    });
    Ok(WeightsFile { path: path.to_owned(), container, sha256, tensors: tensors.collect(), metadata: None, _copy: copy })
}
