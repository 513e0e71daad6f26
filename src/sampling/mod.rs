//! From prepared cases to batches: crop, texture, mask, rotate; prepared by threads ahead of the device.
