//! What the parts of the panel ask it to do.

use std::path::PathBuf;

use super::choose::Ask;
use super::setup::Template;
use crate::device::DeviceChoice;

/// Something that a button, link or list of the panel asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// A dialog.
    Ask(Ask),
    /// Something of a list: a dataset, a run's folder or config.
    Path(PathBuf),
    /// The embedded demo.
    Demo,
    /// The check of the dataset.
    Cases,
    /// The set-up anew with other settings.
    Restart(Template),
    /// Settings planned from the cases of the dataset.
    Plan,
    /// To compute elsewhere.
    Device(DeviceChoice),
    /// To make what is missing of the run.
    Start,
    /// To finish the steps under way, save, end.
    Stop,
    /// The report, as it stands.
    Report,
    /// Another run with the settings of this one.
    Another,
    /// The curves of what is chosen in the grid.
    Curves,
    /// The tokens of a pre-training, in the Collapse panel.
    Collapse,
    /// To put the details away.
    CloseDetails,
}
