//! A label's surface as triangles in the patient.

/// A corner of triangles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceVertex {
    /// RAS+ millimetres.
    pub position_mm: [f32; 3],
    /// Outward, of length 1; zero where all triangles around it have no area.
    pub normal: [f32; 3],
}

/// The closed surface of one label: seen from outside, the corners of each triangle go round against the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelMesh {
    /// The label.
    pub label: u8,
    /// Its vertices.
    pub vertices: Vec<SurfaceVertex>,
    /// Indices of the vertices of each triangle.
    pub triangles: Vec<[u32; 3]>,
}

impl LabelMesh {
    /// A mesh of four-sided faces, each cut along its shorter diagonal.
    pub(super) fn new(label: u8, positions_mm: &[[f32; 3]], faces: &[[u32; 4]]) -> Self {
        let at = |vertex: u32| positions_mm[vertex as usize];
        let squared = |a: u32, b: u32| dot(minus(at(b), at(a)), minus(at(b), at(a)));
        let cut = |&[a, b, c, d]: &[u32; 4]| if squared(a, c) <= squared(b, d) { [[a, b, c], [a, c, d]] } else { [[b, c, d], [b, d, a]] };
        let triangles: Vec<[u32; 3]> = faces.iter().flat_map(cut).collect();
        let mut normals = vec![[0.0; 3]; positions_mm.len()];
        for &[a, b, c] in &triangles {
            // Its length is twice the area: large triangles count for more.
            let across = cross(minus(at(b), at(a)), minus(at(c), at(a)));
            for vertex in [a, b, c] {
                let normal = &mut normals[vertex as usize];
                *normal = [0, 1, 2].map(|axis: usize| normal[axis] + across[axis]);
            }
        }
        let vertex = |(&position_mm, normal): (&[f32; 3], [f32; 3])| {
            let length = dot(normal, normal).sqrt().max(f32::MIN_POSITIVE);
            SurfaceVertex { position_mm, normal: normal.map(|part| part / length) }
        };
        Self { label, vertices: positions_mm.iter().zip(normals).map(vertex).collect(), triangles }
    }

    /// The corners of a triangle, RAS+ millimetres.
    pub fn corners_mm(&self, triangle: [u32; 3]) -> [[f64; 3]; 3] {
        triangle.map(|vertex| self.vertices[vertex as usize].position_mm.map(f64::from))
    }
}

fn minus(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|axis: usize| a[axis] - b[axis])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}
