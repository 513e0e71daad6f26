//! Rulers and circles of the open case: how they are drawn by strokes, selected, dragged and deleted, and what they measure.

use std::fmt::Write as _;

use eframe::egui::Pos2;

use super::digits::{intensity, length};
use super::tool::Tool;
use crate::geometry::Grid;
use crate::gui::widgets::slice::{Phase, Plane, PlaneGeometry, Touch};
use crate::metrics::measurement::{Circle, Intensities, length_mm};
use crate::volume::Volume;

/// Points from a handle or a line at which the pointer still takes hold of it.
const REACH: f32 = 8.0;
/// Points that the pointer must go before something new is drawn: less is a click.
const LEAST: f32 = 4.0;
/// Corners of a circle as it is drawn.
const CORNERS: usize = 90;

/// What a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A length between two ends.
    Ruler,
    /// The intensities inside it; its ends are the centre and a point of the rim.
    Circle,
}

/// A measurement on one slice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measurement {
    pub(super) shape: Shape,
    pub(super) plane: Plane,
    /// Array axis perpendicular to the slice.
    through: usize,
    /// D,H,W in parts of voxels; whole and alike perpendicular to the slice.
    pub(super) ends: [[f64; 3]; 2],
    /// Of a circle what is in it, with the channel and the ends that it was counted for.
    counted: Option<(usize, [[f64; 3]; 2], Intensities)>,
}

impl Measurement {
    fn slice(&self) -> usize {
        self.ends[0][self.through] as usize
    }

    /// Whether it lies on the slice of this voxel (D,H,W).
    pub(super) fn is_on(&self, voxel: [usize; 3]) -> bool {
        self.slice() == voxel[self.through]
    }

    fn circle(&self, grid: &Grid) -> Option<Circle> {
        let circle = || Circle { centre: self.ends[0], radius_mm: length_mm(grid, self.ends), through: self.through };
        (self.shape == Shape::Circle).then(circle)
    }

    /// Its line, D,H,W: both ends, or the rim from its first point back to it.
    pub(super) fn outline(&self, grid: &Grid) -> Vec<[f64; 3]> {
        let Some(circle) = self.circle(grid) else { return self.ends.to_vec() };
        let mut rim = circle.rim(grid, CORNERS);
        rim.extend(rim.first().copied());
        rim
    }

    /// What it measures, in lines.
    pub(super) fn text(&self, grid: &Grid) -> String {
        let Some(circle) = self.circle(grid) else { return length(length_mm(grid, self.ends)) };
        let Some((.., found)) = &self.counted else { return String::new() };
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| intensity(value as f32));
        let [least, most] = found.range.map(|end| number((found.voxels > 0).then_some(f64::from(end))));
        let mut text = format!("mean {}  SD {}\nmin {least}  max {most}\n", number(found.mean()), number(found.deviation()));
        let _ = write!(text, "{:.1} mm2, {} voxels", circle.area_mm2(), found.voxels);
        if found.not_finite > 0 {
            let _ = write!(text, "\n{} voxels without a number left out", found.not_finite);
        }
        if circle.is_cut(grid) {
            text.push_str("\npartly outside the volume");
        }
        text
    }
}

/// A slice as a pane shows it.
pub(super) struct OnSlice<'a> {
    pub(super) geometry: &'a PlaneGeometry,
    pub(super) grid: &'a Grid,
    /// The slice.
    pub(super) slice: usize,
    /// Where a position on it, in voxels across and down, is on the screen.
    pub(super) point: &'a dyn Fn([f64; 2]) -> Pos2,
}

impl OnSlice<'_> {
    /// Whether a measurement lies on it.
    pub(super) fn has(&self, measurement: &Measurement) -> bool {
        measurement.plane == self.geometry.plane && measurement.slice() == self.slice
    }

    /// Where a point D,H,W of the slice is on the screen.
    pub(super) fn on_screen(&self, voxel: [f64; 3]) -> Pos2 {
        (self.point)(self.geometry.position(voxel).1)
    }

    /// Inside the slice, or on its edge.
    fn inside(&self, at: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|side: usize| at[side].clamp(-0.5, self.geometry.size[side] as f64 - 0.5))
    }
}

/// What a stroke changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stroke {
    /// Something new, from here on this slice, as soon as the pointer has gone a way.
    New { shape: Shape, slice: usize, from: [f64; 2] },
    /// An end of a measurement: the ruler's, or the point of the rim.
    End { index: usize, end: usize },
    /// All of it; its first end lies this far from the pointer.
    Whole { index: usize, aside: [f64; 2] },
}

/// The measurements of a case.
#[derive(Default)]
pub(super) struct Measurements {
    all: Vec<Measurement>,
    selected: Option<usize>,
    stroke: Option<Stroke>,
}

impl Measurements {
    /// Those on a slice, each with its number and whether it is selected.
    pub(super) fn on<'a>(&'a self, slice: &'a OnSlice<'a>) -> impl Iterator<Item = (usize, &'a Measurement, bool)> {
        let all = self.all.iter().enumerate().filter(move |(_, measurement)| slice.has(measurement));
        all.map(move |(index, measurement)| (index, measurement, self.selected == Some(index)))
    }

    /// All of them, none selected: for a picture.
    pub(super) fn unselected(&self) -> Self {
        Self { all: self.all.clone(), ..Self::default() }
    }

    /// The selected one.
    pub(super) fn selected(&self) -> Option<&Measurement> {
        self.all.get(self.selected?)
    }

    /// Deletes the selected one.
    pub(super) fn delete(&mut self) {
        if let Some(index) = self.selected.take().filter(|&index| index < self.all.len()) {
            self.all.remove(index);
            self.stroke = None;
        }
    }

    /// Counts what is in circles that are new, or were changed, or of another channel.
    pub(super) fn count(&mut self, volume: &Volume, channel: usize) {
        let grid = &volume.grid;
        for measurement in &mut self.all {
            let known = measurement.counted.as_ref().is_some_and(|(of, ends, _)| (*of, *ends) == (channel, measurement.ends));
            if let Some(circle) = measurement.circle(grid).filter(|_| !known) {
                let image = &volume.voxels[channel * grid.len()..][..grid.len()];
                measurement.counted = Some((channel, measurement.ends, circle.intensities(grid, image)));
            }
        }
    }

    /// Follows a stroke of a tool on a slice.
    pub(super) fn follow(&mut self, on: &OnSlice<'_>, tool: Tool, touch: Touch) {
        match touch.phase {
            Phase::Pressed => self.begin(on, tool, touch.at),
            Phase::Moved => self.go_on(on, touch.at),
            Phase::Released => {
                self.go_on(on, touch.at);
                self.stroke = None;
            }
        }
    }

    /// Takes hold of what is under the pointer: ends first, then lines; else something new may begin.
    fn begin(&mut self, on: &OnSlice<'_>, tool: Tool, at: [f64; 2]) {
        let shape = match tool {
            Tool::Ruler => Shape::Ruler,
            Tool::Circle => Shape::Circle,
            // What is measured stays as it is.
            Tool::Look | Tool::Brush => return self.stroke = None,
        };
        let pointer = (on.point)(at);
        let near = |distance: f32| distance <= REACH;
        let shown = || self.on(on).map(|(index, measurement, _)| (index, measurement));
        let ends = shown().flat_map(|(index, measurement)| {
            (measurement.ends.into_iter().enumerate()).map(move |(end, voxel)| (on.on_screen(voxel).distance(pointer), (index, end)))
        });
        let nearest_end = ends.filter(|&(distance, _)| near(distance)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, end)| end);
        let lines = shown().map(|(index, measurement)| {
            let points: Vec<Pos2> = measurement.outline(on.grid).into_iter().map(|voxel| on.on_screen(voxel)).collect();
            (points.windows(2).map(|pair| from_line(pointer, [pair[0], pair[1]])).fold(f32::INFINITY, f32::min), index)
        });
        let nearest_line = lines.filter(|&(distance, _)| near(distance)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index);
        let whole = |index: usize| {
            let first = on.geometry.position(self.all[index].ends[0]).1;
            Stroke::Whole { index, aside: [0, 1].map(|side: usize| first[side] - at[side]) }
        };
        let stroke = match (nearest_end, nearest_line) {
            // A circle goes with its centre.
            (Some((index, 0)), _) if self.all[index].shape == Shape::Circle => whole(index),
            (Some((index, end)), _) => Stroke::End { index, end },
            (None, Some(index)) => whole(index),
            (None, None) => Stroke::New { shape, slice: on.slice, from: on.inside(at) },
        };
        self.selected = match stroke {
            Stroke::End { index, .. } | Stroke::Whole { index, .. } => Some(index),
            Stroke::New { .. } => None,
        };
        self.stroke = Some(stroke);
    }

    /// Brings what the stroke holds to the pointer; it stays on its slice and, but for a rim, inside the image.
    fn go_on(&mut self, on: &OnSlice<'_>, at: [f64; 2]) {
        match self.stroke {
            None => {}
            Some(Stroke::New { shape, slice, from }) => {
                if (on.point)(from).distance((on.point)(at)) < LEAST {
                    return;
                }
                let ends = [on.geometry.voxel(slice, from); 2];
                self.all.push(Measurement { shape, plane: on.geometry.plane, through: on.geometry.through, ends, counted: None });
                let index = self.all.len() - 1;
                (self.selected, self.stroke) = (Some(index), Some(Stroke::End { index, end: 1 }));
                self.go_on(on, at);
            }
            Some(Stroke::End { index, end }) => {
                let Some(measurement) = self.all.get_mut(index) else { return };
                let at = if measurement.shape == Shape::Ruler { on.inside(at) } else { at };
                measurement.ends[end] = on.geometry.voxel(measurement.slice(), at);
            }
            Some(Stroke::Whole { index, aside }) => {
                let Some(measurement) = self.all.get_mut(index) else { return };
                let slice = measurement.slice();
                let ends = measurement.ends.map(|end| on.geometry.position(end).1);
                let held = if measurement.shape == Shape::Ruler { &ends[..] } else { &ends[..1] };
                let by = [0, 1].map(|side: usize| {
                    let (low, high) = held.iter().fold((f64::MAX, f64::MIN), |(low, high), end| (low.min(end[side]), high.max(end[side])));
                    let wanted = at[side] + aside[side] - ends[0][side];
                    wanted.clamp((-0.5 - low).min(0.0), (on.geometry.size[side] as f64 - 0.5 - high).max(0.0))
                });
                measurement.ends = ends.map(|end| on.geometry.voxel(slice, [0, 1].map(|side: usize| end[side] + by[side])));
            }
        }
    }
}

/// Distance of a point from a piece of a line.
fn from_line(point: Pos2, [from, to]: [Pos2; 2]) -> f32 {
    let along = to - from;
    let share = if along.length_sq() > 0.0 { ((point - from).dot(along) / along.length_sq()).clamp(0.0, 1.0) } else { 0.0 };
    point.distance(from + along * share)
}

#[cfg(test)]
mod tests {
    use eframe::egui::pos2;

    use super::*;
    use crate::geometry::all_grids;
    use crate::gui::Convention;

    /// A stroke of a tool along a way over a slice.
    fn stroke(measurements: &mut Measurements, on: &OnSlice<'_>, tool: Tool, way: &[[f64; 2]]) {
        let touch = |at, phase| Touch { at, phase, right: false };
        measurements.follow(on, tool, touch(way[0], Phase::Pressed));
        way[1..].iter().for_each(|&at| measurements.follow(on, tool, touch(at, Phase::Moved)));
        measurements.follow(on, tool, touch(way[way.len() - 1], Phase::Released));
    }

    /// Ten points for each mm.
    fn enlarged(geometry: &PlaneGeometry) -> impl Fn([f64; 2]) -> Pos2 {
        let scale = geometry.spacing_mm.map(|mm| mm * 10.0);
        move |[x, y]| pos2((x * scale[0]) as f32, (y * scale[1]) as f32)
    }

    fn places(measurements: &Measurements, on: &OnSlice<'_>) -> Vec<[[f64; 2]; 2]> {
        measurements.on(on).map(|(_, measurement, _)| measurement.ends.map(|end| on.geometry.position(end).1)).collect()
    }

    #[test]
    fn a_ruler_shows_the_distance_in_the_patient_in_every_orientation() {
        let (from, to) = ([0.25, 3.0], [3.75, 0.5]);
        for grid in all_grids([5, 9, 7], [3.1, 0.9, 1.4]) {
            for (plane, convention) in
                Plane::ALL.into_iter().flat_map(|plane| [Convention::Radiological, Convention::Neurological].map(|sides| (plane, sides)))
            {
                let geometry = PlaneGeometry::new(&grid, plane, convention);
                let point = enlarged(&geometry);
                let on = |slice| OnSlice { geometry: &geometry, grid: &grid, slice, point: &point };
                let mut measurements = Measurements::default();
                stroke(&mut measurements, &on(2), Tool::Ruler, &[from, [2.0, 2.0], to]);
                let [a, b] = [from, to].map(|at| {
                    let [d, h, w] = geometry.voxel(2, at);
                    grid.world_mm([w, h, d])
                });
                let mm = ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt();
                let here = on(2);
                let drawn: Vec<_> = measurements.on(&here).collect();
                let [(_, ruler, true)] = drawn[..] else { panic!("one ruler, selected: {drawn:?}") };
                let context = format!("{plane:?}, {convention:?}, {}", grid.axis_codes());
                assert!((length_mm(&grid, ruler.ends) - mm).abs() < 1e-9, "{context}");
                assert_eq!(ruler.text(&grid), length(mm), "{context}");
                // These grids have right angles: the same by the distances of voxels.
                let sides = [0, 1].map(|side: usize| (to[side] - from[side]) * geometry.spacing_mm[side]);
                assert!((sides[0].hypot(sides[1]) - mm).abs() < 1e-9, "{context}");
                let other = Plane::ALL.into_iter().find(|&other| other != plane).map(|other| PlaneGeometry::new(&grid, other, convention));
                let elsewhere = OnSlice { geometry: other.as_ref().expect("there are three"), grid: &grid, slice: 2, point: &point };
                assert_eq!([measurements.on(&on(3)).count(), measurements.on(&elsewhere).count()], [0, 0], "{context}");
            }
        }
    }

    #[test]
    fn ends_and_lines_are_dragged_inside_the_image_and_a_click_draws_nothing() {
        let grid = Grid::axis_aligned([4, 30, 40], [3.0, 1.0, 1.0]);
        let geometry = PlaneGeometry::new(&grid, Plane::Axial, Convention::Radiological);
        let point = enlarged(&geometry);
        let on = OnSlice { geometry: &geometry, grid: &grid, slice: 1, point: &point };
        let mut measurements = Measurements::default();
        stroke(&mut measurements, &on, Tool::Ruler, &[[5.0, 5.0]]);
        stroke(&mut measurements, &on, Tool::Ruler, &[[5.0, 5.0], [5.2, 5.1]]);
        stroke(&mut measurements, &on, Tool::Look, &[[5.0, 5.0], [15.0, 5.0]]);
        assert!(places(&measurements, &on).is_empty() && measurements.selected().is_none());
        stroke(&mut measurements, &on, Tool::Ruler, &[[5.0, 5.0], [25.0, 5.0]]);
        assert_eq!(measurements.selected().map(|ruler| ruler.text(&grid)).as_deref(), Some("20.0 mm"));
        stroke(&mut measurements, &on, Tool::Look, &[[25.0, 5.0], [30.0, 5.0]]);
        assert_eq!(places(&measurements, &on), [[[5.0, 5.0], [25.0, 5.0]]], "no other tool takes hold of it");
        // Either tool takes hold of an end; it stays on the image's edge.
        stroke(&mut measurements, &on, Tool::Circle, &[[25.2, 5.1], [60.0, -9.0]]);
        assert_eq!(places(&measurements, &on), [[[5.0, 5.0], [39.5, -0.5]]]);
        // The line moves both ends, and no end leaves the image.
        stroke(&mut measurements, &on, Tool::Ruler, &[[22.25, 2.25], [32.25, 6.25]]);
        assert_eq!(places(&measurements, &on), [[[5.0, 9.0], [39.5, 3.5]]]);
        // A click beside it selects nothing, and nothing is deleted then.
        stroke(&mut measurements, &on, Tool::Ruler, &[[20.0, 25.0]]);
        measurements.delete();
        assert_eq!(places(&measurements, &on).len(), 1);
        // A slice turned while the stroke goes on: the ruler stays on its own.
        let above = OnSlice { geometry: &geometry, grid: &grid, slice: 2, point: &point };
        measurements.follow(&on, Tool::Ruler, Touch { at: [5.0, 9.0], phase: Phase::Pressed, right: false });
        measurements.follow(&above, Tool::Ruler, Touch { at: [6.0, 9.0], phase: Phase::Released, right: false });
        assert_eq!((places(&measurements, &on), places(&measurements, &above)), (vec![[[6.0, 9.0], [39.5, 3.5]]], Vec::new()));
        measurements.delete();
        assert!(places(&measurements, &on).is_empty() && measurements.selected().is_none());
    }

    #[test]
    fn a_circle_shows_what_is_inside_it_of_the_shown_channel_and_is_counted_again_when_it_changes() {
        let grid = Grid::axis_aligned([4, 30, 40], [3.0, 1.0, 1.0]);
        let mut voxels: Vec<f32> = (0..grid.len()).map(|index| (index * 31 % 257) as f32).collect();
        voxels.extend(voxels.clone().iter().map(|value| value + 1000.0));
        let volume = Volume { channels: 2, grid: grid.clone(), voxels };
        let geometry = PlaneGeometry::new(&grid, Plane::Axial, Convention::Radiological);
        let point = enlarged(&geometry);
        let on = OnSlice { geometry: &geometry, grid: &grid, slice: 1, point: &point };
        let mean_inside = |channel: usize, [x, y]: [i64; 2], radius: i64| {
            let squares = (0..30).flat_map(|row| (0..40).map(move |column| [column, row]));
            let inside = squares.filter(|[column, row]| (column - x).pow(2) + (row - y).pow(2) <= radius * radius);
            let value = |at: [i64; 2]| {
                let voxel = geometry.voxel(1, at.map(|at| at as f64)).map(|index| index as usize);
                f64::from(volume.voxels[channel * grid.len() + crate::geometry::ravel(voxel, grid.shape)])
            };
            let values: Vec<f64> = inside.map(value).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let mut measurements = Measurements::default();
        let mut shown = |way: &[[f64; 2]], channel| {
            stroke(&mut measurements, &on, Tool::Circle, way);
            measurements.count(&volume, channel);
            measurements.selected().expect("it is selected").text(&grid)
        };
        let says = |text: &str, mean: f64, rest: &str| {
            let mean = format!("mean {}  SD ", intensity(mean as f32));
            assert!(text.starts_with(&mean) && text.contains(rest), "{text:?} says not {mean:?} and {rest:?}");
        };
        says(&shown(&[[10.0, 10.0], [13.0, 10.0]], 0), mean_inside(0, [10, 10], 3), "28.3 mm2, 29 voxels");
        // The centre takes the whole circle along, the rim changes it, and so does another channel.
        says(&shown(&[[10.0, 10.0], [12.0, 11.0]], 0), mean_inside(0, [12, 11], 3), "28.3 mm2, 29 voxels");
        says(&shown(&[[15.0, 11.0], [14.0, 11.0]], 0), mean_inside(0, [12, 11], 2), "12.6 mm2, 13 voxels");
        says(&shown(&[[12.0, 11.0]], 1), mean_inside(1, [12, 11], 2), "12.6 mm2, 13 voxels");
        let cut = shown(&[[12.0, 11.0], [0.0, 0.0]], 0);
        says(&cut, mean_inside(0, [0, 0], 2), "6 voxels\npartly outside the volume");
    }
}
