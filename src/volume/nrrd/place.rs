//! From `space`, `space directions`, `space origin` and units to RAS+ mm.

use std::array::from_fn;

use super::header::{Axes, Header, no_vectors, vectors};
use crate::volume::Fault;
use crate::volume::affine::{self, Rows};

/// Signs from L,P,S to R,A,S.
const LPS: [f64; 3] = [-1.0, -1.0, 1.0];

/// RAS+ mm of a voxel centre from its index along the axes of space (rows of a 4x4 matrix); what had to be assumed goes to `notes`.
///
/// # Errors
/// A space of other dimensions than three, vectors that span no volume, coordinates beyond reason.
pub(super) fn world_from_voxel(header: &Header, dimension: usize, axes: &Axes, notes: &mut Vec<String>) -> Result<[[f64; 4]; 4], Fault> {
    let (rows, source) = match header.directions()? {
        Some(directions) => {
            let columns = axes.space.map(|axis| directions[axis].expect("an axis of space has a direction"));
            (in_space(header, columns, notes)?, "`space directions` and `space origin`")
        }
        None => (by_edges(header, dimension, axes, notes)?, "`spacings`"),
    };
    if let Some(fault) = affine::fault_of_axes(&rows) {
        return Err(Fault::header(source, format_args!("what {fault}"), "three axes that span a volume"));
    }
    affine::refuse_far(&rows, source)?;
    notes.extend(affine::odd_sizes(&rows, false).map(|odd| format!("{odd}: its unit of length may be wrong (`space units`, `units`)")));
    Ok([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]])
}

fn in_space(header: &Header, columns: [[f64; 3]; 3], notes: &mut Vec<String>) -> Result<Rows, Fault> {
    let space = header.field("space").map(str::to_ascii_lowercase);
    let signs = match space.as_deref() {
        Some("left-posterior-superior" | "lps") => LPS,
        Some("right-anterior-superior" | "ras") => [1.0; 3],
        Some("left-anterior-superior" | "las") => [-1.0, 1.0, 1.0],
        Some("scanner-xyz" | "3d-right-handed" | "3d-left-handed") | None => {
            let named = space
                .map_or_else(|| "it names no space".to_owned(), |space| format!("its space {space} does not name the patient's sides"));
            notes.push(format!("{named}: taken as left-posterior-superior, as ITK takes it"));
            LPS
        }
        Some(other) => return Err(Fault::Unsupported(format!("the space {other:?} (`space`)"))),
    };
    let origin = match header.field("spaceorigin") {
        None => {
            notes.push("it names no `space origin`: its first voxel is taken to lie at 0, 0, 0".to_owned());
            [0.0; 3]
        }
        Some(text) => match vectors(text).as_deref() {
            Some([Some(origin)]) => *origin,
            _ => return Err(no_vectors("space origin", text)),
        },
    };
    let units = header.per_axis("spaceunits", 3)?.unwrap_or_else(|| vec!["mm".to_owned(); 3]);
    let factor: [f64; 3] = from_fn(|row| signs[row] * unit_mm(&units[row], notes));
    // Zero has no sign.
    let value = |row: usize, value: f64| value * factor[row] + 0.0;
    Ok(from_fn(|row| [0, 1, 2, 3].map(|column| value(row, if column < 3 { columns[column][row] } else { origin[row] }))))
}

/// Without directions: voxel edges alone, along the axes that ITK takes them to have.
fn by_edges(header: &Header, dimension: usize, axes: &Axes, notes: &mut Vec<String>) -> Result<Rows, Fault> {
    notes.push(
        "it names no place in space: i is taken to run to the patient's left, j to the back, k upwards, from 0, 0, 0, as ITK takes it"
            .to_owned(),
    );
    let spacings = header.per_axis("spacings", dimension)?;
    let units = header.per_axis("units", dimension)?;
    let mut rows = [[0.0; 4]; 3];
    for (row, &axis) in axes.space.iter().enumerate() {
        let unit = units.as_ref().map_or(1.0, |units| unit_mm(&units[axis], notes));
        let edge = match spacings.as_ref().map(|spacings| spacings[axis].parse::<f64>()) {
            Some(Ok(edge)) if edge.is_finite() && edge != 0.0 => edge.abs() * unit,
            Some(Err(_)) => return Err(Fault::header("`spacings`", format_args!("{:?}", header.field("spacings")), "numbers")),
            _ => {
                notes.push(format!("its voxel size along {} (`spacings`) is not given; taken as 1 mm", ["i", "j", "k"][row]));
                1.0
            }
        };
        rows[row][row] = LPS[row] * edge;
    }
    Ok(rows)
}

/// Millimetres of a unit of length; one that is not known is taken for mm, with a note.
fn unit_mm(unit: &str, notes: &mut Vec<String>) -> f64 {
    match unit.to_lowercase().as_str() {
        "mm" | "millimeter" | "millimeters" | "millimetre" | "millimetres" | "" => 1.0,
        "um" | "\u{b5}m" | "\u{3bc}m" | "micron" | "microns" | "micrometer" | "micrometers" => 1e-3,
        "cm" | "centimeter" | "centimeters" => 10.0,
        "m" | "meter" | "meters" => 1e3,
        _ => {
            let text = format!("its unit of length {unit:?} is not known; taken as mm");
            if !notes.contains(&text) {
                notes.push(text);
            }
            1.0
        }
    }
}
