//! Bodies of the operations on a GPU, in CubeCL. There are none yet: on a GPU every operation runs its reference body.
//!
//! To add one: write `gpu/OPERATION.rs` with the function of the same name and signature as in `host`
//! (`Tensor::try_into_primitive::<CubeBackend>()` gives the buffer, its client launches the kernel), and call it in the
//! operation's file beside `host`'s, where the reference is chosen now. No other file changes: the backward pass is entered
//! into the graph by the operation, and `tests` compares values and gradients with the reference as soon as a device runs them.
