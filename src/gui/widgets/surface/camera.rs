//! Where surfaces are looked at from, and where points of the patient lie on the screen. There is no perspective: equal lengths in mm are
//! equally long wherever they lie.

use eframe::egui::{Pos2, Rect, Vec2, vec2};
use nalgebra::Vector3;

use crate::geometry::{ENDS, Ray};

/// Radians for each point dragged.
const TURN: f64 = 0.01;
/// How far one can zoom.
const ZOOM_RANGE: (f64, f64) = (0.25, 100.0);
/// Room around the surfaces, as a share of them.
const MARGIN: f64 = 1.08;

/// A ball around what there is to see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ball {
    /// RAS+ mm.
    pub(super) centre: Vector3<f64>,
    /// In mm.
    pub(super) radius: f64,
}

/// Where the surfaces are looked at from. The patient's head is always up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Radians around the patient, from the front towards the right side.
    yaw: f64,
    /// Radians above the horizon.
    pitch: f64,
    /// Magnification; 1 shows everything.
    zoom: f64,
    /// What is in the view's middle, and is turned about, in RAS+ mm; none: the middle of everything.
    middle: Option<Vector3<f64>>,
}

impl Default for Camera {
    /// From the front, a little from the right and from above, so that depth is seen.
    fn default() -> Self {
        Self { yaw: 0.45, pitch: 0.25, zoom: 1.0, middle: None }
    }
}

impl Camera {
    /// Turns what is seen, so that its near side follows the pointer.
    pub(super) fn turn(&mut self, drag: Vec2) {
        self.yaw = (self.yaw + f64::from(drag.x) * TURN).rem_euclid(std::f64::consts::TAU);
        self.pitch = (self.pitch + f64::from(drag.y) * TURN).clamp(-std::f64::consts::FRAC_PI_2, std::f64::consts::FRAC_PI_2);
    }

    /// Looks from the side of the patient that a letter names.
    pub(super) fn look_from(&mut self, letter: char) {
        let quarter = std::f64::consts::FRAC_PI_2;
        (self.yaw, self.pitch) = match letter {
            'R' => (quarter, 0.0),
            'P' => (2.0 * quarter, 0.0),
            'L' => (3.0 * quarter, 0.0),
            'S' => (0.0, quarter),
            'I' => (0.0, -quarter),
            _ => (0.0, 0.0),
        };
    }

    /// The letter of the side that it looks from, as far as one side is nearest.
    pub fn side(&self) -> char {
        let [.., back] = self.axes();
        let axis = back.iamax();
        ENDS[axis][usize::from(back[axis] < 0.0)]
    }

    /// Towards the screen's right, its top, and the viewer; each of length 1.
    fn axes(&self) -> [Vector3<f64>; 3] {
        let ((sin_yaw, cos_yaw), (sin_pitch, cos_pitch)) = (self.yaw.sin_cos(), self.pitch.sin_cos());
        let back = Vector3::new(sin_yaw * cos_pitch, cos_yaw * cos_pitch, sin_pitch);
        let right = Vector3::new(-cos_yaw, sin_yaw, 0.0);
        [right, back.cross(&right), back]
    }
}

/// A camera's view of a ball in a pane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lens {
    axes: [Vector3<f64>; 3],
    middle: Vector3<f64>,
    mm_per_point: f64,
    ball: Ball,
    /// The pane in points.
    pub(super) rect: Rect,
}

impl Lens {
    pub(super) fn new(camera: &Camera, ball: Ball, rect: Rect) -> Self {
        let mm_per_point = 2.0 * MARGIN * ball.radius.max(1e-3) / f64::from(rect.size().min_elem().max(1.0)) / camera.zoom;
        Self { axes: camera.axes(), middle: camera.middle.unwrap_or(ball.centre), mm_per_point, ball, rect }
    }

    /// Moves what is seen by points of the screen.
    pub(super) fn pan(&self, camera: &mut Camera, drag: Vec2) {
        camera.middle = Some(self.kept(self.middle - self.across(drag)));
    }

    /// Magnifies; what lies under a point of the screen stays there.
    pub(super) fn zoom(&self, camera: &mut Camera, about: Pos2, factor: f64) {
        let zoom = (camera.zoom * factor).clamp(ZOOM_RANGE.0, ZOOM_RANGE.1);
        let stays = 1.0 - camera.zoom / zoom;
        camera.middle = Some(self.kept(self.middle + self.across(about - self.rect.center()) * stays));
        camera.zoom = zoom;
    }

    /// The way in mm of points on the screen, in the plane of the screen.
    fn across(&self, points: Vec2) -> Vector3<f64> {
        let [right, up, _] = self.axes;
        (right * f64::from(points.x) - up * f64::from(points.y)) * self.mm_per_point
    }

    /// A middle from which something is still seen.
    fn kept(&self, middle: Vector3<f64>) -> Vector3<f64> {
        let from = middle - self.ball.centre;
        if from.norm() > self.ball.radius { self.ball.centre + from.normalize() * self.ball.radius } else { middle }
    }

    /// Where a point of the patient, RAS+ mm, lies on the screen.
    pub(super) fn point(&self, mm: [f64; 3]) -> Pos2 {
        self.rect.center() + self.shift(Vector3::from(mm) - self.middle) / self.mm_per_point as f32
    }

    /// A way through the patient in mm across and down the screen.
    fn shift(&self, way: Vector3<f64>) -> Vec2 {
        let [right, up, _] = self.axes;
        vec2(right.dot(&way) as f32, -up.dot(&way) as f32)
    }

    /// Across and down the screen, a step of 1 along a patient axis (0 = R, 1 = A, 2 = S); and how much of it goes towards the viewer.
    pub(super) fn axis(&self, axis: usize) -> (Vec2, f64) {
        let mut way = Vector3::zeros();
        way[axis] = 1.0;
        (self.shift(way), self.axes[2][axis])
    }

    /// The ray from the viewer through a point of the screen.
    pub(super) fn ray(&self, point: Pos2) -> Ray {
        let [.., back] = self.axes;
        let at = self.middle + self.across(point - self.rect.center());
        // Before all that there is, wherever the middle is.
        let origin = at + back * (4.0 * self.ball.radius + 1.0);
        Ray { origin_mm: origin.into(), direction: (-back).into() }
    }

    /// From RAS+ mm to clip space, by columns: what is nearest has depth 0, what is farthest 1.
    pub(super) fn clip_from_world(&self) -> [[f32; 4]; 4] {
        let [right, up, back] = self.axes;
        let [across, down] = [self.rect.width(), self.rect.height()].map(|points| 2.0 / (f64::from(points.max(1.0)) * self.mm_per_point));
        let depth = -0.5 / (1.01 * self.ball.radius + 1e-3);
        let rows = [right * across, up * down, back * depth];
        let from = [-rows[0].dot(&self.middle), -rows[1].dot(&self.middle), 0.5 - rows[2].dot(&self.ball.centre)];
        let column = |axis: usize| [rows[0][axis] as f32, rows[1][axis] as f32, rows[2][axis] as f32, 0.0];
        [column(0), column(1), column(2), [from[0] as f32, from[1] as f32, from[2] as f32, 1.0]]
    }

    /// Towards the light, which shines over the viewer's left shoulder.
    pub(super) fn light(&self) -> [f32; 4] {
        let [right, up, back] = self.axes;
        let light = (back + 0.45 * up - 0.35 * right).normalize();
        [light.x as f32, light.y as f32, light.z as f32, 0.0]
    }
}

#[cfg(test)]
mod tests {
    use eframe::egui::pos2;

    use super::*;

    const RECT: Rect = Rect { min: pos2(10.0, 20.0), max: pos2(310.0, 220.0) };

    fn ball() -> Ball {
        Ball { centre: Vector3::new(5.0, -60.0, 30.0), radius: 80.0 }
    }

    fn lens(camera: &Camera) -> Lens {
        Lens::new(camera, ball(), RECT)
    }

    #[test]
    fn each_side_has_the_patient_s_other_sides_where_they_belong() {
        // Looked at from a side: the letters to the right and at the top.
        for (from, right, top) in [('A', 'L', 'S'), ('P', 'R', 'S'), ('R', 'A', 'S'), ('L', 'P', 'S'), ('S', 'L', 'P'), ('I', 'L', 'A')] {
            let mut camera = Camera::default();
            camera.look_from(from);
            assert_eq!(camera.side(), from);
            let lens = lens(&camera);
            let towards = |letter: char| {
                let axis = ENDS.iter().position(|ends| ends.contains(&letter)).expect("a letter of an axis");
                let sign = if ENDS[axis][0] == letter { 1.0 } else { -1.0 };
                lens.axis(axis).0 * sign
            };
            assert!((towards(right) - vec2(1.0, 0.0)).length() < 1e-6, "{from}: {right} to the right");
            assert!((towards(top) - vec2(0.0, -1.0)).length() < 1e-6, "{from}: {top} on top");
        }
    }

    #[test]
    fn the_ray_the_screen_and_the_gpu_agree_on_where_a_point_is() {
        let mut camera = Camera::default();
        camera.turn(vec2(37.0, -21.0));
        lens(&camera).zoom(&mut camera, pos2(200.0, 90.0), 1.7);
        lens(&camera).pan(&mut camera, vec2(-14.0, 9.0));
        let lens = lens(&camera);
        for mm in [[5.0, -60.0, 30.0], [40.0, -30.0, 0.0], [-30.0, -100.0, 60.0]] {
            let at = lens.point(mm);
            let ray = lens.ray(at);
            let along: f64 = (0..3).map(|axis| (mm[axis] - ray.origin_mm[axis]) * ray.direction[axis]).sum();
            let nearest = [0, 1, 2].map(|axis: usize| ray.origin_mm[axis] + along * ray.direction[axis]);
            assert!(along > 0.0 && nearest.iter().zip(mm).all(|(a, b)| (a - b).abs() < 1e-2), "{mm:?} {nearest:?}");
            let columns = lens.clip_from_world();
            let clip = [0, 1, 2].map(|row: usize| (0..3).map(|axis| columns[axis][row] * mm[axis] as f32).sum::<f32>() + columns[3][row]);
            let drawn = RECT.center() + vec2(clip[0] * RECT.width() / 2.0, -clip[1] * RECT.height() / 2.0);
            assert!((drawn - at).length() < 0.01, "{mm:?}: {drawn:?} {at:?}");
            assert!((0.0..=1.0).contains(&clip[2]), "{mm:?}: depth {}", clip[2]);
        }
        // What is nearer to the viewer has less depth.
        let [near, far] = [1.0, -1.0].map(|sign| ball().centre + lens.axes[2] * (sign * ball().radius));
        let depth = |mm: Vector3<f64>| {
            let columns = lens.clip_from_world();
            (0..3).map(|axis| columns[axis][2] * mm[axis] as f32).sum::<f32>() + columns[3][2]
        };
        assert!(depth(near) >= 0.0 && depth(near) < depth(far) && depth(far) <= 1.0);
    }

    #[test]
    fn what_is_under_the_pointer_stays_there_and_nothing_gets_lost() {
        let mut camera = Camera::default();
        let mm = [20.0, -50.0, 40.0];
        let before = lens(&camera).point(mm);
        lens(&camera).zoom(&mut camera, before, 3.0);
        assert!((lens(&camera).point(mm) - before).length() < 0.01);
        lens(&camera).pan(&mut camera, vec2(1e5, 0.0));
        let centre: [f64; 3] = ball().centre.into();
        camera.zoom = 1.0;
        assert!(RECT.expand(1.0).contains(lens(&camera).point(centre)));
        camera.turn(vec2(0.0, 1e5));
        assert_eq!(camera.side(), 'S', "the head is never upside down");
    }
}
