//! Weights by the reference's names and in PyTorch's layouts: export, load with a report, safetensors files.
//!
//! A module keeps its parameters in the layout that computes fastest; the type that holds a parameter decides how
//! the reference lays it out. Names are a matter of the backbone ([`NamedWeights`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::names::NamedWeights;

/// A tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Elements, last axis fastest.
    pub values: Vec<f32>,
}

/// A tensor that has the name of a parameter but another shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The reference's name.
    pub name: String,
    /// Shape in the module, in PyTorch's layout.
    pub expected: Vec<usize>,
    /// Shape in the file.
    pub found: Vec<usize>,
}

/// What became of each tensor when weights were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters that took a tensor.
    pub matched: Vec<String>,
    /// Parameters without a tensor: they keep their values.
    pub missing: Vec<String>,
    /// Tensors without a parameter.
    pub skipped: Vec<String>,
    /// Same name, different shape: the parameter keeps its values.
    pub mismatched: Vec<Mismatch>,
}

/// All parameters by the reference's names, in PyTorch's layouts.
pub fn export_named(module: &impl NamedWeights) -> BTreeMap<String, HostTensor> {
    Walk::over(module, None).tensors
}

/// The gradients by the same names; parameters without one are left out.
pub fn export_gradients(module: &impl NamedWeights, gradients: &GradientsParams) -> BTreeMap<String, HostTensor> {
    Walk::over(module, Some(gradients)).tensors
}

/// The names of the fields that lead to each parameter.
pub fn parameter_paths(module: &impl NamedWeights) -> HashMap<ParamId, Vec<String>> {
    // Values are not asked for: none is copied to the host.
    let slots = Walk::over(module, Some(&GradientsParams::new())).slots;
    slots.into_iter().map(|(id, slot)| (id, slot.path)).collect()
}

/// `module` with the tensors whose name and shape fit, and what became of each.
pub fn load_named<M: NamedWeights>(module: M, tensors: &BTreeMap<String, HostTensor>) -> (M, LoadReport) {
    let slots = Walk::over(&module, None).slots;
    let mut load = Load { slots, tensors, report: LoadReport::default() };
    let module = module.map(&mut load);
    let Load { slots, mut report, .. } = load;
    let known: BTreeSet<&str> = slots.values().map(|slot| slot.name.as_str()).collect();
    report.skipped = tensors.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
    (module, report)
}

/// A parameter's name and path, and how its axes lie in the reference.
struct Slot {
    name: String,
    path: Vec<String>,
    /// Axis of the module's tensor for each axis of the reference's; empty: the same.
    axes: &'static [usize],
}

impl Slot {
    /// How the reference lays out the field `field` of the type `container`.
    fn axes(container: &str, field: &str) -> &'static [usize] {
        match (container, field) {
            ("Struct:Linear", "weight") => &[1, 0],
            ("Struct:Conv3d" | "Struct:PointConv", "weight") => &[4, 3, 0, 1, 2],
            ("Struct:ExpandTokens", "weight") => &[0, 4, 1, 2, 3],
            ("Struct:PatchConv", "weight") => &[4, 0, 1, 2, 3],
            _ => &[],
        }
    }

    fn reference_layout(&self, data: TensorData) -> HostTensor {
        let shape = data.shape().to_vec();
        let values = data.try_into_vec().expect("parameters are float32");
        permute(HostTensor { shape, values }, self.axes)
    }

    fn own_layout(&self, tensor: &HostTensor) -> HostTensor {
        let mut inverse = vec![0; self.axes.len()];
        for (axis, &from) in self.axes.iter().enumerate() {
            inverse[from] = axis;
        }
        permute(tensor.clone(), &inverse)
    }
}

/// `tensor` with axis `i` taken from its axis `axes[i]`.
fn permute(tensor: HostTensor, axes: &[usize]) -> HostTensor {
    if axes.is_empty() {
        return tensor;
    }
    let HostTensor { shape, values } = tensor;
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len() - 1).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    let (to, steps): (Vec<usize>, Vec<usize>) = axes.iter().map(|&axis| (shape[axis], strides[axis])).unzip();
    let mut at = vec![0; to.len()];
    let mut from = 0;
    let mut permuted = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        permuted.push(values[from]);
        for axis in (0..to.len()).rev() {
            at[axis] += 1;
            from += steps[axis];
            if at[axis] < to[axis] {
                break;
            }
            from -= steps[axis] * to[axis];
            at[axis] = 0;
        }
    }
    HostTensor { shape: to, values: permuted }
}

/// Visits the parameters: their slots, and their values or gradients.
struct Walk<'a, M> {
    module: &'a M,
    gradients: Option<&'a GradientsParams>,
    path: Vec<String>,
    containers: Vec<String>,
    slots: HashMap<ParamId, Slot>,
    tensors: BTreeMap<String, HostTensor>,
}

impl<'a, M: NamedWeights> Walk<'a, M> {
    fn over(module: &'a M, gradients: Option<&'a GradientsParams>) -> Self {
        let mut walk =
            Self { module, gradients, path: Vec::new(), containers: Vec::new(), slots: HashMap::new(), tensors: BTreeMap::new() };
        module.visit(&mut walk);
        walk
    }
}

impl<M: NamedWeights> ModuleVisitor for Walk<'_, M> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (Some(field), Some(container)) = (self.path.last(), self.containers.last()) else { return };
        let axes = Slot::axes(container, field);
        let slot = Slot { name: self.module.reference_name(&self.path), path: self.path.clone(), axes };
        let value = match self.gradients {
            None => Some(param.val().into_data()),
            Some(gradients) => gradients.get::<D>(param.id).map(Tensor::into_data),
        };
        if let Some(value) = value {
            self.tensors.insert(slot.name.clone(), slot.reference_layout(value));
        }
        self.slots.insert(param.id, slot);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        // The variant of an enum is no part of a parameter's name.
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
            self.containers.push(container.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
            self.containers.pop();
        }
    }
}

/// Puts tensors into parameters.
struct Load<'a> {
    slots: HashMap<ParamId, Slot>,
    tensors: &'a BTreeMap<String, HostTensor>,
    report: LoadReport,
}

impl ModuleMapper for Load<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(slot) = self.slots.get(&param.id) else { return param };
        let Some(tensor) = self.tensors.get(&slot.name) else {
            self.report.missing.push(slot.name.clone());
            return param;
        };
        let own = param.lazy_shape().to_vec();
        let expected: Vec<usize> = if slot.axes.is_empty() { own } else { slot.axes.iter().map(|&axis| own[axis]).collect() };
        if tensor.shape != expected {
            self.report.mismatched.push(Mismatch { name: slot.name.clone(), expected, found: tensor.shape.clone() });
            return param;
        }
        self.report.matched.push(slot.name.clone());
        let HostTensor { shape, values } = slot.own_layout(tensor);
        param.map(|old| {
            let (device, tracked) = (old.device(), old.is_require_grad());
            let new = Tensor::from_data(TensorData::new(values, shape), &device);
            if tracked { new.require_grad() } else { new }
        })
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tensors loaded", self.matched.len())?;
        for Mismatch { name, expected, found } in &self.mismatched {
            writeln!(f, "  shape differs    {name}: the network has {expected:?}, the file {found:?}")?;
        }
        for name in &self.missing {
            writeln!(f, "  not in the file  {name}")?;
        }
        for name in &self.skipped {
            writeln!(f, "  not used         {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{HostTensor, permute};

    #[test]
    fn axes_are_permuted_and_back() {
        let tensor = HostTensor { shape: vec![2, 3, 4], values: (0..24).map(|v| v as f32).collect() };
        let permuted = permute(tensor.clone(), &[2, 0, 1]);
        assert_eq!(permuted.shape, [4, 2, 3]);
        // Element [c, a, b] is element [a, b, c] of the original.
        assert_eq!(permuted.values[(3 * 2 + 1) * 3 + 2], tensor.values[(3 + 2) * 4 + 3]);
        assert_eq!(permute(permuted, &[1, 2, 0]), tensor);
    }
}
