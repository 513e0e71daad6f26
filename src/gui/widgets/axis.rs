//! An axis of a plot: linear, logarithmic, named or bare.

use egui_plot::GridMark;

use super::ticks;

/// How an axis counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scale {
    #[default]
    Linear,
    /// Points hold powers of ten.
    Log10,
    /// Points hold indices into a list of names.
    Names(Vec<String>),
    /// Without numbers.
    Bare,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub(in crate::gui) struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    /// Values that are always in sight.
    pub(super) include: Vec<f64>,
}

impl Axis {
    /// Linear; an empty label is left out.
    pub(in crate::gui) fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Logarithmic: points hold the decimal logarithm, ticks and CSV the value.
    pub(in crate::gui) fn log10(label: impl Into<String>) -> Self {
        Self { scale: Scale::Log10, ..Self::new(label) }
    }

    /// Names at 0, 1, 2, ...
    pub(in crate::gui) fn names(label: impl Into<String>, names: Vec<String>) -> Self {
        let include = vec![-0.4, names.len() as f64 - 0.6];
        Self { label: label.into(), scale: Scale::Names(names), include }
    }

    /// Without numbers: only distances count.
    pub(in crate::gui) fn bare(label: impl Into<String>) -> Self {
        Self { scale: Scale::Bare, ..Self::new(label) }
    }

    /// Always shows these values.
    pub(in crate::gui) fn include(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.include.extend(values);
        self
    }

    /// A value in words, as ticks, hover texts and CSV have it.
    pub(super) fn word(&self, value: f64, step: Option<f64>) -> String {
        match &self.scale {
            Scale::Linear => step.map_or_else(|| ticks::number(value), |step| ticks::tick(value, step)),
            Scale::Log10 => ticks::number(10f64.powf(value)),
            Scale::Names(names) => {
                let whole = (value - value.round()).abs() < 1e-6 && value > -0.5;
                names.get(value.round().max(0.0) as usize).filter(|_| whole).cloned().unwrap_or_default()
            }
            Scale::Bare => String::new(),
        }
    }

    /// A value in full.
    pub(super) fn exact(&self, value: f64) -> String {
        match self.scale {
            Scale::Linear | Scale::Bare => value.to_string(),
            Scale::Log10 => 10f64.powf(value).to_string(),
            Scale::Names(_) => self.word(value, None),
        }
    }

    pub(super) fn marks(&self, bounds: (f64, f64), most: f64) -> Vec<GridMark> {
        match &self.scale {
            Scale::Names(names) => (0..names.len()).map(|index| GridMark { value: index as f64, step_size: 1.0 }).collect(),
            Scale::Log10 => ticks::log_marks(bounds, most),
            Scale::Linear | Scale::Bare => ticks::marks(bounds, most),
        }
    }
}
