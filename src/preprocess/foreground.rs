//! The box around what isn't empty.

use crate::geometry::VoxelBox;
use crate::volume::Volume;

/// The bounding box of voxels at which any channel lies above its threshold; none if there are no such voxels.
pub fn bounding_box(volume: &Volume, above: &[f32]) -> Option<VoxelBox> {
    let [_, height, width] = volume.grid.shape;
    let mut bounds = VoxelBox::EMPTY;
    for (channel, &above) in volume.iter_channels().zip(above) {
        for (line, row) in channel.chunks(width).enumerate() {
            let Some(first) = row.iter().position(|&value| value > above) else { continue };
            let last = row.iter().rposition(|&value| value > above).unwrap_or(first);
            bounds.include([line / height, line % height, first], [line / height, line % height, last]);
        }
    }
    (!bounds.is_empty()).then_some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Grid;

    #[test]
    fn the_box_holds_the_foreground_of_all_channels() {
        let mut volume = Volume { channels: 2, voxels: vec![-1.0; 240], grid: Grid::axis_aligned([4, 5, 6], [1.0; 3]) };
        assert_eq!(bounding_box(&volume, &[-1.0, -1.0]), None);
        volume.voxels[(2 * 5 + 1) * 6 + 3] = 0.5;
        volume.voxels[120 + (5 + 4) * 6 + 2] = -0.5;
        assert_eq!(bounding_box(&volume, &[-1.0, -1.0]), Some(VoxelBox { start: [1, 1, 2], end: [3, 5, 4] }));
    }
}
