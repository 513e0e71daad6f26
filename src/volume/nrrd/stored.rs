//! What a header says of its voxels, all of it weighed before anything is read.

use super::header::Header;
use super::place::world_from_voxel;
use crate::volume::voxels::{Encoding, Stored, check_sizes};
use crate::volume::{Fault, Grid};

/// What the header says of its numbers.
///
/// # Errors
/// What is missing, beyond reason or not supported.
pub(super) fn stored(header: &Header) -> Result<Stored, Fault> {
    let dimension: usize = header.needed("dimension")?.parse().unwrap_or(0);
    if !(3..=4).contains(&dimension) {
        return Err(Fault::Unsupported(format!(
            "{} axes (`dimension`); three of space and one of channels are read",
            header.needed("dimension")?
        )));
    }
    let sizes = header.per_axis("sizes", dimension)?.ok_or_else(|| Fault::header("the field `sizes`", "nothing", "a value"))?;
    let sizes: Option<Vec<usize>> = sizes.iter().map(|size| size.parse().ok()).collect();
    let sizes = sizes.ok_or_else(|| Fault::header("`sizes`", format_args!("{:?}", header.field("sizes")), "whole numbers"))?;
    let axes = header.axes(dimension)?;
    let channels = axes.channels.map_or(1, |axis| sizes[axis]);
    let size = axes.space.map(|axis| sizes[axis]);
    check_sizes(size, channels, "`sizes`")?;
    if channels > 1 && header.keys.keys().any(|key| key.starts_with("Segment0_")) {
        return Err(Fault::Layers(channels));
    }
    let mut notes = Vec::new();
    let world_from_voxel = world_from_voxel(header, dimension, &axes, &mut notes)?;
    for name in ["oldmin", "oldmax"].into_iter().filter(|name| header.field(name).is_some()) {
        notes.push(format!("its field `{name}` is not used: values are taken as they are stored"));
    }
    // A header of hostile sizes has no volume to count in.
    let stride = axes.channels.map_or(1, |axis| sizes[..axis].iter().fold(1_usize, |all, &size| all.saturating_mul(size)));
    let scalar = header.scalar()?;
    let encoding = header.encoding()?;
    if header.field("lineskip").is_some_and(|skip| skip != "0")
        || header.data_file()?.is_none() && header.field("byteskip").is_some_and(|skip| skip != "0")
    {
        return Err(Fault::Unsupported("lines or bytes to skip (`line skip`, `byte skip`)".to_owned()));
    }
    let big_endian = match header.field("endian").map(str::to_ascii_lowercase).as_deref() {
        Some("little") => false,
        Some("big") => true,
        None if scalar.size() == 1 || encoding == Encoding::Text => false,
        other => return Err(Fault::header("the order of bytes (`endian`)", format_args!("{other:?}"), "little or big")),
    };
    let [w, h, d] = size;
    Ok(Stored { grid: Grid { shape: [d, h, w], world_from_voxel }, channels, stride, scalar, big_endian, encoding, notes })
}
