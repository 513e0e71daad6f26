//! How many digits numbers are shown with.

/// An intensity with as many digits as tell intensities apart, and no more.
pub(super) fn intensity(value: f32) -> String {
    let size = value.abs();
    if size >= 1000.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// A length in mm with its unit: to a tenth, and to a hundredth below 10 mm.
pub(super) fn length(mm: f64) -> String {
    if mm < 10.0 { format!("{mm:.2} mm") } else { format!("{mm:.1} mm") }
}
