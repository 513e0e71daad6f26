//! Which body of an operation runs: the CPU's, the GPU's, or the reference in the tensor library's operations.

use std::cell::Cell;

use burn::tensor::Tensor;

use crate::device::on_host;

thread_local! {
    static REFERENCES: Cell<bool> = const { Cell::new(false) };
}

/// Where the body of an operation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// In `host`.
    Host,
    /// In `gpu`.
    Gpu,
    /// Beside the operation.
    Reference,
}

/// The bodies for operations on `x`.
pub(crate) fn bodies<const D: usize>(x: &Tensor<D>) -> Bodies {
    match (REFERENCES.get(), on_host(&x.device())) {
        (true, _) => Bodies::Reference,
        (false, true) => Bodies::Host,
        (false, false) => Bodies::Gpu,
    }
}

/// Runs `work` with the references in place of the other bodies, as far as it computes on this thread: to test those, and to
/// measure what they gain.
pub fn with_references<T>(work: impl FnOnce() -> T) -> T {
    let before = REFERENCES.replace(true);
    let out = work();
    REFERENCES.set(before);
    out
}
