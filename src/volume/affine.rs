//! What an affine must be for a scan to have a place, whatever format it comes from.

use nalgebra::Matrix3;

use super::Fault;

/// Rows of an affine from NIfTI index to space.
pub(super) type Rows = [[f64; 4]; 3];

/// Volume of the box of three axes of length 1 below which they span a plane or less; headers are float32.
const FLAT: f64 = 1e-4;

/// Coordinates of a scan in mm beyond which a header is damaged.
const FARTHEST_MM: f64 = 1e6;

/// Voxel edges in mm that are noted as odd: no clinical scan has them, a wrong unit does.
const ODD_MM: [f64; 2] = [0.01, 50.0];

/// Why rows place no volume, as a sentence without subject; none for those that do.
pub(super) fn fault_of_axes(rows: &Rows) -> Option<&'static str> {
    if rows.iter().flatten().any(|value| !value.is_finite()) {
        return Some("holds NaN or infinite values");
    }
    let axes = Matrix3::from_fn(|row, column| rows[row][column]);
    if axes == Matrix3::zeros() {
        return Some("is empty");
    }
    // An axis of length zero becomes NaN, which is no volume either.
    let unit = Matrix3::from_columns(&[0, 1, 2].map(|axis| axes.column(axis).normalize()));
    let spanned = unit.determinant().abs();
    (spanned.is_nan() || spanned <= FLAT).then_some("spans no volume")
}

/// Refuses coordinates in mm that are no numbers or beyond reason; `source` names the fields that they come from.
pub(super) fn refuse_far(rows: &Rows, source: &str) -> Result<(), Fault> {
    match rows.iter().flatten().find(|value| !value.is_finite() || value.abs() >= FARTHEST_MM) {
        Some(far) => Err(Fault::header(source, format_args!("{far} mm in one place"), "coordinates below a million mm")),
        None => Ok(()),
    }
}

/// What is odd about voxel edges of an affine in mm; `microns`: whether the header says that they are small.
pub(super) fn odd_sizes(rows: &Rows, microns: bool) -> Option<String> {
    let edges = [0, 1, 2].map(|axis| rows.iter().map(|row| row[axis].powi(2)).sum::<f64>().sqrt());
    let odd = edges.iter().any(|&edge| edge > ODD_MM[1] || edge < ODD_MM[0] && !microns);
    let [i, j, k] = edges.map(|edge| format!("{edge:.4}").trim_end_matches('0').trim_end_matches('.').to_owned());
    odd.then(|| format!("its voxels of {i} x {j} x {k} mm are odd for a scan"))
}
