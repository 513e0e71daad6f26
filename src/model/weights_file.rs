//! Named weights in safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use super::weights::HostTensor;

/// Why a weights file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The weights file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// Not a safetensors file, or a damaged one.
    #[error("{}: not a readable safetensors file ({source}); write it anew or name another", path.display())]
    Format {
        /// The weights file.
        path: PathBuf,
        /// What the parser said.
        source: SafeTensorError,
    },
    /// Only float32 is understood.
    #[error("{}: tensor {name:?} has element type {dtype:?}; convert the file to float32 first", path.display())]
    ElementType {
        /// The weights file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: Dtype,
    },
}

/// Writes `tensors` to `path` whole or not at all; equal tensors give equal bytes.
///
/// # Errors
/// [`WeightsError::Io`] if the folder cannot be written.
///
/// # Panics
/// If a tensor's shape and number of values disagree.
pub fn write_weights(path: &Path, tensors: &BTreeMap<String, HostTensor>) -> Result<(), WeightsError> {
    let bytes: BTreeMap<&String, Vec<u8>> =
        tensors.iter().map(|(name, tensor)| (name, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())).collect();
    let views = tensors.iter().map(|(name, tensor)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[name]).expect("shape and values agree");
        (name, view)
    });
    let file = safetensors::serialize(views, None).expect("views of whole tensors");
    crate::atomic_file::write(path, &file).map_err(|source| WeightsError::Io { path: path.to_owned(), source })
}

/// Reads all tensors of a safetensors file.
///
/// # Errors
/// If the file cannot be read, is no safetensors file, or holds anything but float32.
pub fn read_weights(path: &Path) -> Result<BTreeMap<String, HostTensor>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|source| WeightsError::Format { path: path.to_owned(), source })?;
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        if view.dtype() != Dtype::F32 {
            return Err(WeightsError::ElementType { path: path.to_owned(), name, dtype: view.dtype() });
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok((name, HostTensor { shape: view.shape().to_vec(), values }))
    });
    tensors.collect()
}

#[cfg(test)]
mod tests {
    use super::{WeightsError, read_weights, write_weights};
    use crate::model::HostTensor;
    use std::collections::BTreeMap;

    #[test]
    fn files_return_what_was_written_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.safetensors"), folder.path().join("b.safetensors"));
        let tensor = |values: &[f32]| HostTensor { shape: vec![values.len()], values: values.to_vec() };
        let tensors: BTreeMap<_, _> =
            [("norm0.weight", [1.0, -0.0, f32::MIN_POSITIVE].as_slice()), ("a", &[2.5])].map(|(n, v)| (n.to_owned(), tensor(v))).into();
        write_weights(&first, &tensors).unwrap();
        write_weights(&second, &tensors.clone()).unwrap();
        assert_eq!(read_weights(&first).unwrap(), tensors);
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays");

        std::fs::write(&first, &std::fs::read(&second).unwrap()[..40]).unwrap();
        assert!(matches!(read_weights(&first), Err(WeightsError::Format { .. })));
        assert!(matches!(read_weights(&folder.path().join("none")), Err(WeightsError::Io { .. })));
    }
}
