//! Learning from corrections: a corrected case goes into the training set (`add`), what was corrected is recorded there (`record`), and a
//! finished fine-tuning is trained on with the cases that came since (`again`). No tensors.

mod add;
mod again;
mod record;

pub use crate::volume::datalist::adding::{AddError, Change, NewCase, folder_of};
pub use add::{AddJob, Added, Prediction, add};
pub use again::{Again, AgainError, again};
pub use record::{Correction, Corrections, LabelCorrection};
