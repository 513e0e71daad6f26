//! From a header's forms, voxel sizes and unit to the place of its voxels in mm.
//!
//! sform before qform before voxel sizes, as nibabel (and so MONAI) chooses. A form that is announced and holds nothing
//! useful gives way to the next, with a note.

use super::fields::{Fields, Format};
use crate::volume::Fault;
use crate::volume::affine::{self, Rows};

/// Squared length of a quaternion's three parts above which more than rounding makes it longer than 1.
const LONGEST_QUATERNION: f64 = 1.0 + 1e-4;

/// Names of the voxel axes in messages.
const AXES: [&str; 3] = ["i", "j", "k"];

/// RAS+ mm of a voxel centre from its NIfTI index (rows of a 4x4 matrix); what had to be assumed goes to `notes`.
///
/// `size`: voxels along i, j, k.
///
/// # Errors
/// Voxel sizes that are no numbers, coordinates beyond reason.
pub(super) fn world_from_voxel(fields: &Fields, size: [usize; 3], notes: &mut Vec<String>) -> Result<[[f64; 4]; 4], Fault> {
    let unit_mm = unit_mm(fields, notes);
    let (rows, source) = form(fields, size, unit_mm, notes)?;
    let rows = rows.map(|row| row.map(|value| value * unit_mm));
    affine::refuse_far(&rows, source)?;
    note_odd_sizes(fields, &rows, notes);
    Ok([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]])
}

/// Millimetres of the header's unit of length; a header that names none means mm.
fn unit_mm(fields: &Fields, notes: &mut Vec<String>) -> f64 {
    // The upper bits are the unit of time.
    match fields.xyzt_units & 7 {
        0 | 2 => 1.0,
        1 => 1e3,
        3 => 1e-3,
        other => {
            notes.push(format!("its unit of length (xyzt_units) has the unknown code {other}; taken as mm"));
            1.0
        }
    }
}

fn note_odd_sizes(fields: &Fields, rows: &Rows, notes: &mut Vec<String>) {
    if let Some(odd) = affine::odd_sizes(rows, fields.xyzt_units & 7 == 3) {
        let why =
            if fields.xyzt_units & 7 == 0 { "it names no unit of length and mm is assumed" } else { "its unit of length may be wrong" };
        notes.push(format!("{odd}: {why} (xyzt_units)"));
    }
}

/// The affine in the header's unit, and the fields that it comes from.
fn form(fields: &Fields, size: [usize; 3], unit_mm: f64, notes: &mut Vec<String>) -> Result<(Rows, &'static str), Fault> {
    let mut useless = Vec::new();
    if fields.sform_code > 0 {
        match affine::fault_of_axes(&fields.srow) {
            None => return Ok((fields.srow, "the sform (srow_x, srow_y, srow_z)")),
            Some(fault) => useless.push(format!("its sform {fault}")),
        }
    }
    let quaternion = fields.quatern.iter().chain(&fields.qoffset).all(|value| value.is_finite());
    if fields.qform_code > 0 && !quaternion {
        useless.push("its qform (quatern, qoffset) holds NaN or infinite values".to_owned());
    }
    let uses_qform = fields.qform_code > 0 && quaternion;
    let instead = if uses_qform { "placed by its qform instead" } else { "placed by its voxel sizes, with assumed sides" };
    if !useless.is_empty() {
        notes.push(format!("{}; {instead}", useless.join(" and ")));
    } else if fields.format == Format::Analyze {
        notes.push(
            "an Analyze 7.5 file, which doesn't tell left from right; i is taken to run to the patient's left, as nibabel takes it"
                .to_owned(),
        );
    } else if !uses_qform {
        notes.push("it has neither qform nor sform: i is taken to run to the patient's left, j to the front, k upwards".to_owned());
    }
    if uses_qform && fields.quatern.iter().map(|value| value * value).sum::<f64>() > LONGEST_QUATERNION {
        notes
            .push("its quaternion (quatern_b, quatern_c, quatern_d) is longer than 1; taken as a half turn about its direction".to_owned());
    }
    let edges = voxel_edges(fields, unit_mm, notes)?;
    Ok(if uses_qform {
        (qform(fields, edges), "the qform (qoffset, pixdim)")
    } else {
        (by_edges(fields, size, edges), "the voxel size (pixdim)")
    })
}

/// `pixdim[1]` to `pixdim[3]`, in the header's unit.
fn voxel_edges(fields: &Fields, unit_mm: f64, notes: &mut Vec<String>) -> Result<[f64; 3], Fault> {
    let mut edges = [0.0; 3];
    for (axis, edge) in edges.iter_mut().enumerate() {
        let name = format!("voxel size along {} (pixdim[{}])", AXES[axis], axis + 1);
        *edge = fields.pixdim[axis + 1].abs();
        if !edge.is_finite() {
            return Err(Fault::header(&format!("the {name}"), *edge, "a finite length"));
        }
        if *edge == 0.0 {
            notes.push(format!("its {name} is 0; taken as 1 mm"));
            *edge = unit_mm.recip();
        }
    }
    Ok(edges)
}

/// Without forms the standard leaves the place open; like nibabel this reads it as the Analyze format did: i runs to the
/// left, and the grid's centre is the origin, unless SPM named another voxel.
fn by_edges(fields: &Fields, size: [usize; 3], [x, y, z]: [f64; 3]) -> Rows {
    let named = fields.origin.map(f64::from);
    let sound = [0, 1, 2].iter().all(|&axis| named[axis] > -(size[axis] as f64) && named[axis] < 2.0 * size[axis] as f64);
    let origin = |axis: usize| if sound && named != [0.0; 3] { named[axis] - 1.0 } else { (size[axis] - 1) as f64 / 2.0 };
    [[-x, 0.0, 0.0, origin(0) * x], [0.0, y, 0.0, -origin(1) * y], [0.0, 0.0, z, -origin(2) * z]]
}

/// The quaternion of the NIfTI standard as a matrix; `pixdim[0]` below zero turns k round.
fn qform(fields: &Fields, [x, y, z]: [f64; 3]) -> Rows {
    let [b, c, d] = fields.quatern;
    let rest = 1.0 - (b * b + c * c + d * d);
    // A half turn: a is zero, and float32 rounding may push the sum beyond one.
    let (a, [b, c, d]) = if rest < 1e-7 {
        let length = (b * b + c * c + d * d).sqrt();
        (0.0, [b / length, c / length, d / length])
    } else {
        (rest.sqrt(), [b, c, d])
    };
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let z = if fields.pixdim[0] < 0.0 { -z } else { z };
    [0, 1, 2].map(|row| {
        let [i, j, k] = rotation[row];
        [i * x, j * y, k * z, fields.qoffset[row]]
    })
}
