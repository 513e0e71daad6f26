//! Operations that the tensor library lacks or does slowly: a reference first, faster bodies second.

mod attention;
mod conv;
mod gelu;

pub use attention::{MASKED, PADDING, WindowTables, window_attention};
pub use conv::{ConvShape, conv3d};
pub use gelu::gelu;
