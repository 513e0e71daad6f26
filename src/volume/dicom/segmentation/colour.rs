//! Colours of segments in DICOM: CIE L*a*b* as three whole numbers of 16 bits (PS3.3, C.10.7.1.1), under D65 as dcmqi, 3D Slicer and highdicom
//! write and read them.

/// Linear sRGB to XYZ.
const XYZ: [[f64; 3]; 3] = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]];
/// Its inverse.
const RGB: [[f64; 3]; 3] = [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]];
const WHITE: [f64; 3] = [0.95047, 1.0, 1.08883];

/// Where the cube root of L*a*b* becomes a line, and that line's slope.
const LINEAR: f64 = 6.0 / 29.0;

/// Red, green, blue as stored numbers.
pub(super) fn to_dicom(rgb: [u8; 3]) -> [u16; 3] {
    let linear = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    let xyz = times(&XYZ, linear);
    let [x, y, z] = [0, 1, 2].map(|at| {
        let share = xyz[at] / WHITE[at];
        if share > LINEAR.powi(3) { share.cbrt() } else { share / (3.0 * LINEAR * LINEAR) + 4.0 / 29.0 }
    });
    let whole = |value: f64| (value.clamp(0.0, 1.0) * f64::from(u16::MAX)).round() as u16;
    [whole((116.0 * y - 16.0) / 100.0), whole((500.0 * (x - y) + 128.0) / 255.0), whole((200.0 * (y - z) + 128.0) / 255.0)]
}

/// Stored numbers as red, green, blue.
pub(super) fn from_dicom(stored: [u16; 3]) -> [u8; 3] {
    let [l, a, b] = stored.map(|part| f64::from(part) / f64::from(u16::MAX));
    let y = (l * 100.0 + 16.0) / 116.0;
    let shares = [y + (a * 255.0 - 128.0) / 500.0, y, y - (b * 255.0 - 128.0) / 200.0];
    let xyz = [0, 1, 2].map(|at| {
        let share = shares[at];
        WHITE[at] * if share > LINEAR { share.powi(3) } else { 3.0 * LINEAR * LINEAR * (share - 4.0 / 29.0) }
    });
    times(&RGB, xyz).map(|part| {
        let part = part.clamp(0.0, 1.0);
        let part = if part <= 0.0031308 { 12.92 * part } else { 1.055 * part.powf(1.0 / 2.4) - 0.055 };
        (part * 255.0).round() as u8
    })
}

fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

#[cfg(test)]
mod tests {
    use super::{from_dicom, to_dicom};

    #[test]
    fn a_colour_comes_back_and_white_is_white() {
        // highdicom 0.28.2, CIELabColor.from_rgb.
        for (rgb, expected) in [([255, 176, 0], [50767, 37572, 53618]), ([76, 195, 255], [48948, 29165, 22838])] {
            assert!(to_dicom(rgb).iter().zip(expected).all(|(&a, b)| a.abs_diff(b) < 20), "{:?}", to_dicom(rgb));
        }
        let [l, a, b] = to_dicom([255; 3]);
        assert!(l > 65500 && a.abs_diff(32896) < 40 && b.abs_diff(32896) < 40, "{l} {a} {b}");
        for rgb in [[0, 0, 0], [255, 176, 0], [1, 200, 30], [77, 77, 77], [12, 3, 250]] {
            let back = from_dicom(to_dicom(rgb));
            assert!(rgb.iter().zip(back).all(|(&a, b)| a.abs_diff(b) <= 1), "{rgb:?} {back:?}");
        }
    }
}
